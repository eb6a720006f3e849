/**
 * A writer that is made to be killed: puts, acknowledges and deletes, and says each thing before it
 * begins and when it is promised, at once.
 *
 * Usage: writer.ts FOLDER COUNT [FIRST]
 */

import { writeSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { nic, optionsOf, record } from "./samples.ts";

/** So many records are written again and again. */
const RECORDS = 20;

const [, , folder = "", count = "0", first = "0"] = process.argv;
const say = (...words: readonly (string | number)[]) => writeSync(1, `${words.join(" ")}\n`);

await using store = await openSqlite(join(folder, "store.sqlite"), optionsOf());
say("opened");
for (let number = Number(first); number < Number(first) + Number(count); number++) {
  const index = number % RECORDS;
  const name = { network: "204", id: `i-${index}` };
  const secretId = `s-${number}`;
  const kind = number % 7;
  say("begin", number);
  if (kind === 5) await store.delete(name);
  // Of different sizes, so that some user data has a row of its own.
  const userData = new Uint8Array((number % 5) * 1000).fill(number);
  const password = { id: secretId, password: `pw-${number}` };
  const put = await store.put(
    record({
      ...name,
      nics: [nic(`10.1.1.${index}`)],
      keys: [["number", String(number)]],
      userData,
      ...(kind % 2 === 1 && { password }),
    }),
  );
  if (kind === 3) {
    const { epoch } = put.record;
    await store.ack({ network: "204", instance: name.id, epoch, secretId });
  }
  say("done", number);
}
say("end");
