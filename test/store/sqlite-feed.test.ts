/** Following one SQLite file from several connections, and from another process. */

import { expect, test } from "bun:test";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { FeedElement } from "../../src/model/feed.ts";
import type { InstanceRecord } from "../../src/model/record.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openDatabase } from "../../src/store/sqlite/database.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { listen, nic, optionsOf, record, scratch, whole } from "./samples.ts";

const NAME = { network: "204", id: "i-1" };
const PASSWORD = { id: "s-1", password: "fN7xvQ2p" };
const WRITER = join(import.meta.dirname, "writer.ts");

const openIn = (folder: string, role: StoreOptions["role"]): Promise<Store> =>
  openSqlite(join(folder, "store.sqlite"), optionsOf({ role }));

test("a reader hears what the writer does, and the writer that the reader acknowledges", async () => {
  using folder = scratch();
  await using writer = await openIn(folder.path, "writer");
  await using reader = await openIn(folder.path, "reader");
  await using far = listen(reader);
  await using near = listen(writer);
  await Promise.all([far.reaches(0), near.reaches(0)]);
  const userData = new Uint8Array(50_000).fill(9);
  const { record: kept } = await writer.put(record({ password: PASSWORD, userData }));
  await Promise.all([far.reaches(1), near.reaches(1)]);
  expect(await whole([...far.known.values()][0] as InstanceRecord)).toEqual(await whole(kept));
  const { epoch } = kept;
  expect(await reader.ack({ network: "204", instance: "i-1", epoch, secretId: "s-1" })).toBe(true);
  await Promise.all([far.reaches(2), near.reaches(2)]);
  await writer.delete(NAME);
  await Promise.all([far.reaches(3), near.reaches(3)]);
  for (const { heard } of [far, near]) {
    expect(heard).toEqual(["snapshot 0", "put i-1 1", "secret i-1 2", "delete i-1 3"]);
  }
});

test("a follower in another process misses nothing and hears nothing twice", async () => {
  using folder = scratch();
  await (await openIn(folder.path, "writer")).close();
  await using reader = await openIn(folder.path, "reader");
  await using follower = listen(reader);
  await follower.reaches(0);
  const child = Bun.spawn([process.execPath, WRITER, folder.path, "300"], { stdout: "pipe" });
  expect(await child.exited).toBe(0);
  const { records, revision } = await reader.list();
  await follower.reaches(revision);
  const revisions = follower.heard.slice(1).map((one) => Number(one.split(" ")[2]));
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  expect(revisions.at(-1)).toBe(revision);
  expect([...follower.known.values()].map(({ id }) => id).sort()).toEqual(
    records.map(({ record }) => record.id),
  );
});

test("a place is a file, whatever SQLite would make of its name", async () => {
  using folder = scratch();
  const openHere = (name: string, role: StoreOptions["role"]): Promise<Store> => {
    const before = process.cwd();
    process.chdir(folder.path);
    try {
      return openSqlite(name, optionsOf({ role }));
    } finally {
      process.chdir(before);
    }
  };
  for (const name of [":memory:", "file:x?mode=memory"]) {
    await using writer = await openHere(name, "writer");
    await writer.put(record());
    await using reader = await openHere(name, "reader");
    expect((await reader.get(NAME))?.revision).toBe(1);
    expect(existsSync(join(folder.path, name))).toBe(true);
  }
});

test("a follower that is too far behind gets a snapshot again", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path, "writer");
  await store.put(record({ id: "i-0", nics: [] }));
  const elements = store.follow(new AbortController().signal)[Symbol.asyncIterator]();
  await next(elements);
  await store.delete({ ...NAME, id: "i-0" });
  await store.put(record());
  const database = openDatabase(join(folder.path, "store.sqlite"));
  database.exec("UPDATE store SET remembered_from = 2; DELETE FROM removed");
  database.close();
  const value = await next(elements);
  expect(value).toMatchObject({ kind: "snapshot", revision: 3 });
  expect(value.kind === "snapshot" && value.records.map(({ record }) => record.id)).toEqual([
    "i-1",
  ]);
  await elements.return?.(undefined);
});

test("who follows from now on reads no record, also when it is too far behind", async () => {
  using folder = scratch();
  const conditions = new Conditions(() => 0);
  const path = join(folder.path, "store.sqlite");
  await using store = await openSqlite(path, optionsOf({ conditions }));
  for (const id of ["i-1", "i-2"]) await store.put(record({ id, nics: [] }));
  const database = openDatabase(path);
  database.exec("UPDATE record SET document = x'00'");
  const end = new AbortController();
  const elements = store.follow(end.signal, { from: "now" })[Symbol.asyncIterator]();
  const bare = { kind: "snapshot", records: [], networks: [] } as const;
  expect(await next(elements)).toEqual({ ...bare, revision: 2 });
  await store.delete({ ...NAME, id: "i-2" });
  database.exec("UPDATE store SET remembered_from = 3; DELETE FROM removed");
  database.close();
  conditions.clear("STORE_RECORD_DAMAGED", "instance i-2 of network 204");
  expect(await next(elements)).toEqual({ ...bare, revision: 3 });
  // Whoever reads one says that it is damaged.
  expect(conditions.count("STORE_RECORD_DAMAGED")).toBe(0);
  end.abort();
});

test("a follower of a file that another has replaced is told to open it anew", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path, "writer");
  const follower = listen(store);
  await follower.reaches(0);
  const path = join(folder.path, "store.sqlite");
  renameSync(path, `${path}.away`);
  expect(await follower.failed).toMatchObject({ code: "STORE_REPLACED" });
});

test("what a follower reads is of one moment, however much is written meanwhile", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path, "writer");
  // Two records that always say the same, with many between them, so that a look takes a while.
  for (let index = 100; index < 400; index++) {
    await store.put(record({ id: `i-${index}`, nics: [nic(`10.1.${index >> 8}.${index & 255}`)] }));
  }
  const put = async (id: string, round: number) =>
    store.put(record({ id, nics: [], keys: [["round", String(round)]] }));
  await put("a", 0);
  await put("z", 0);
  const end = new AbortController();
  const writing = (async () => {
    for (let round = 1; !end.signal.aborted; round++) {
      await put("a", round);
      await put("z", round);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let look = 0; look < 20; look++) {
    const elements = store.follow(end.signal)[Symbol.asyncIterator]();
    const value = await next(elements);
    await elements.return?.(undefined);
    if (value.kind !== "snapshot") throw new Error("no snapshot");
    const round = (id: string): number => {
      const found = value.records.find(({ record }) => record.id === id);
      return Number(found?.record.keys[0]?.[1]);
    };
    expect([0, 1]).toContain(round("a") - round("z"));
    expect(Math.max(...value.records.map(({ revision }) => revision))).toBe(value.revision);
  }
  end.abort();
  await writing;
});

async function next(elements: AsyncIterator<FeedElement>): Promise<FeedElement> {
  const { done, value } = await elements.next();
  if (done === true) throw new Error("the feed has ended");
  return value;
}
