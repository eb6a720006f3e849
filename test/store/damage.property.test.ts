/**
 * Goal: whatever happens to its files, a store opens or says why it refuses, answers nothing that
 * was not written, and can be filled again.
 * Method: the files of a store whose program was killed, with bytes overwritten and ends cut off.
 */

import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { keyOf, nic, optionsOf, record, scratch, whole } from "./samples.ts";

const RUNS = process.env.FRONTDESK_LONG === "1" ? 2000 : 60;
const RECORDS = 40;
const FILES = ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"];

/** What a file says when its version, its owner or its key's check is damaged: that is no damage. */
const REFUSALS = ["STORE_FORMAT", "STORE_KEY"];

const codeOf = (error: { code?: string }): string => error.code ?? String(error);

const sample = (index: number) =>
  record({
    id: `i-${index}`,
    nics: [nic(`10.1.1.${index}`)],
    userData: new Uint8Array((index % 3) * 1500).fill(index),
    ...(index % 2 === 0 && { password: { id: `s-${index}`, password: `pw-${index}` } }),
  });

/** Where in a file: at a fraction of its length, or in the header of a page. */
const place = fc.record({
  file: fc.constantFrom(...FILES),
  at: fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.record({ page: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat({ max: 120 }) }),
  ),
});
const damage = fc.record({
  place,
  how: fc.oneof(
    fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
    fc.record({ zeros: fc.integer({ min: 1, max: 9000 }) }),
    fc.constant("cut" as const),
  ),
});

const damages = fc.array(damage, { minLength: 1, maxLength: 3 });

test("whatever happens to its files, a store says nothing that was not written", async () => {
  const wanted = new Map<string, object>();
  using open = scratch();
  using closed = scratch();
  // One whose log has everything, as when its program was killed, and one whose file has.
  await using _ = await fill(open.path, wanted);
  await (await fill(closed.path, wanted)).close();
  let setAside = 0;
  await fc.assert(
    fc.asyncProperty(fc.boolean(), damages, async (isClosed, damages) => {
      using folder = scratch();
      mkdirSync(join(folder.path, "run"));
      const path = (name: string) => join(folder.path, "run", name);
      const from = isClosed ? closed.path : open.path;
      for (const name of readdirSync(from)) copyFileSync(join(from, name), path(name));
      for (const one of damages) inflict(path(one.place.file), one);
      const opened = await openSqlite(path(FILES[0] ?? ""), optionsOf()).catch(codeOf);
      if (typeof opened === "string") return expect(REFUSALS).toContain(opened);
      await using damaged = opened;
      const { records } = await damaged.list();
      for (const { record } of records) {
        const said = await whole(record).catch(codeOf);
        if (said === "STORE_UNREADABLE" || said === "STORE_BODY_GONE") continue;
        expect(said).toEqual(wanted.get(keyOf(record)) as object);
      }
      if (existsSync(`${path(FILES[0] ?? "")}.aside-1`)) setAside++;
      for (let index = 0; index < RECORDS; index++) {
        const { record } = await damaged.put({ ...sample(index), name: "again" });
        expect((await damaged.get(record))?.record.name).toBe("again");
      }
    }),
    { numRuns: RUNS },
  );
  expect(setAside).toBeGreaterThan(0);
}, 300_000);

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function inflict(path: string, { place, how }: Damage): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  const pages = Math.max(1, Math.ceil(bytes.length / 4096));
  const { at } = place;
  const from =
    typeof at === "number"
      ? Math.floor(at * bytes.length)
      : Math.min(bytes.length, Math.floor(at.page * (pages - 1)) * 4096 + at.byte);
  const rest = bytes.subarray(from);
  if (how === "cut") truncateSync(path, from);
  else {
    if ("zeros" in how) rest.subarray(0, how.zeros).fill(0);
    else rest.set(how.bytes.subarray(0, rest.length));
    writeFileSync(path, bytes);
  }
}

async function fill(folder: string, wanted: Map<string, object>): Promise<Store> {
  const store = await openSqlite(join(folder, FILES[0] ?? ""), optionsOf());
  for (let index = 0; index < RECORDS; index++) {
    const { record } = await store.put(sample(index));
    wanted.set(keyOf(record), await whole(record));
  }
  return store;
}
