/**
 * Writes a password into a store, once, and says so: for a test that makes its disk slow.
 *
 * Usage: slow-disk.ts FOLDER
 */

import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { optionsOf, record } from "./samples.ts";

const [, , folder = ""] = process.argv;

await using store = await openSqlite(join(folder, "store.sqlite"), optionsOf());
await store.put(record({ password: { id: "s-1", password: "fN7xvQ2p" } }));
console.log("written");
// What a store writes when it closes would be news as well.
await new Promise((resolve) => process.stdin.once("data", resolve));
process.exit(0);
