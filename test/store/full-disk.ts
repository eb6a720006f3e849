/**
 * A store on a disk that fills up, in a mount namespace of its own, and says what becomes of it.
 *
 * Usage: full-disk.ts FOLDER, where FOLDER is a disk of its own
 */

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { nic, optionsOf, record } from "./samples.ts";

const [, , folder = ""] = process.argv;
const filler = join(folder, "filler");
const sample = (index: number) =>
  record({ id: `i-${index}`, nics: [nic(`10.1.1.${index}`)], userData: new Uint8Array(20_000) });
const say = (...words: unknown[]) => console.log(...words);

await using store = await openSqlite(join(folder, "store.sqlite"), optionsOf());
await store.put(sample(0));
writeFileSync(filler, new Uint8Array(200_000));
let kept = 1;
try {
  for (; kept < 250; kept++) {
    const userData = new Uint8Array(20_000).fill(kept);
    await store.put({ ...sample(kept), userData });
  }
} catch (error) {
  say("full", (error as { code?: string }).code);
}
say("listed", (await store.list()).records.length === kept);
rmSync(filler);
await store.put(sample(kept));
say("goes on", (await store.list()).records.length === kept + 1);
