/**
 * Goal: whenever the writer is killed, the store opens, holds what was promised, and holds nothing
 * in part.
 * Method: a child writes and says each thing before it begins and when it is promised; it is killed
 * at a random moment, a thousand writes or more in all. Then the store is opened and compared with
 * what was said; the next child goes on with the same file.
 */

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type InstanceRecord, userDataOf } from "../../src/model/record.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { type Listener, listen, optionsOf, scratch } from "./samples.ts";

const WRITER = join(import.meta.dirname, "writer.ts");
const WRITES_MIN = 1000;
const LIVES_MIN = 8;
/** As many as the child writes. */
const RECORDS = 20;
/** A child is killed so long after it has opened the store, at most. ms. */
const LIFE_MS = 150;

test("a writer that is killed at any moment has kept each promise", async () => {
  using folder = scratch();
  let promised = -1;
  let begun = -1;
  const path = join(folder.path, "store.sqlite");
  await (await openSqlite(path, optionsOf())).close();
  // One that follows through all those lives.
  await using reader = await openSqlite(path, optionsOf({ role: "reader" }));
  await using follower = listen(reader);
  for (let life = 0; life < LIVES_MIN || promised < WRITES_MIN; life++) {
    // What was under way is begun again: so all up to the last that was promised was promised.
    ({ promised, begun } = await live(folder.path, promised + 1, { promised, begun }));
    await check(folder.path, { promised, begun });
    await checkFollower(reader, follower);
  }
  expect(readdirSync(folder.path).filter((name) => name.includes("aside"))).toEqual([]);
}, 60_000);

interface Said {
  /** The last write that was promised, and the last that was begun. */
  readonly promised: number;
  readonly begun: number;
}

async function live(folder: string, first: number, before: Said): Promise<Said> {
  const argv = [process.execPath, WRITER, folder, "1000000", String(first)];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit" });
  let text = "";
  let isOpen = false;
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (isOpen || !text.includes("opened")) continue;
    isOpen = true;
    setTimeout(() => child.kill("SIGKILL"), 1 + Math.random() * LIFE_MS);
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  const last = (word: string, none: number): number => {
    const said = [...text.matchAll(new RegExp(`^${word} (\\d+)$`, "gm"))].at(-1);
    return said === undefined ? none : Number(said[1]);
  };
  return { promised: last("done", before.promised), begun: last("begin", before.begun) };
}

async function check(folder: string, { promised, begun }: Said): Promise<void> {
  const conditions = new Conditions(() => 0);
  await using store = await openSqlite(join(folder, "store.sqlite"), optionsOf({ conditions }));
  expect(conditions.list()).toEqual([]);
  const { records } = await store.list();
  const found = new Map<number, InstanceRecord>();
  for (const { record } of records) found.set(Number(record.id.slice(2)), record);
  for (let index = 0; index < RECORDS; index++) {
    const record = found.get(index);
    const last = lastOf(index, promised);
    const isUnderWay = begun > promised && begun % RECORDS === index;
    const possible = isUnderWay ? [last, begun] : [last];
    // A write that deletes first may have come no further.
    if (isUnderWay && begun % 7 === 5) possible.push(undefined);
    const number = record && Number(record.keys[0]?.[1]);
    expect(possible).toContain(number);
    if (record !== undefined && number !== undefined) {
      await checkRecord(record, number, number <= promised);
    }
  }
}

async function checkFollower(store: Store, follower: Listener): Promise<void> {
  const { records, revision } = await store.list();
  await follower.reaches(revision);
  const known = (record: InstanceRecord) => [record.id, record.keys, record.password?.id];
  const followed = [...follower.known.values()].map(known).sort();
  expect(followed).toEqual(records.map(({ record }) => known(record)).sort());
}

/** As the child writes them. */
async function checkRecord(
  record: InstanceRecord,
  number: number,
  isPromised: boolean,
): Promise<void> {
  expect(await userDataOf(record)).toEqual(new Uint8Array((number % 5) * 1000).fill(number));
  const password = { id: `s-${number}`, password: `pw-${number}` };
  const kind = number % 7;
  if (kind === 3 && isPromised) expect(record.password).toBeUndefined();
  else if (kind === 3) expect([undefined, password.id]).toContain(record.password?.id);
  else if (kind % 2 === 1) expect(record.password).toEqual(password);
  else expect(record.password).toBeUndefined();
}

/** The last write to a record that was promised. */
function lastOf(index: number, promised: number): number | undefined {
  const last = promised - ((((promised - index) % RECORDS) + RECORDS) % RECORDS);
  return promised < 0 || last < 0 ? undefined : last;
}
