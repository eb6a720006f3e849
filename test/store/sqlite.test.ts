/** What the SQLite store promises of its file: who may use it, what stands in it, and damage. */

import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { InstanceRecord } from "../../src/model/record.ts";
import { RECORD_FORMAT } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { StoreSeal } from "../../src/store/seal.ts";
import { type Database, openDatabase } from "../../src/store/sqlite/database.ts";
import { MIGRATIONS, migrate, versionOf } from "../../src/store/sqlite/schema.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { nic, optionsOf, record, SEAL_KEY, scratch, whole } from "./samples.ts";

const NAME = { network: "204", id: "i-1" };
const FILE = "store.sqlite";
const WRITER = join(import.meta.dirname, "writer.ts");

/** Opens the file in `folder`. */
const openIn = (folder: string, changed: Partial<StoreOptions> = {}): Promise<Store> =>
  openSqlite(join(folder, FILE), optionsOf(changed));

/** Works on the file with SQL of one's own, beside the store. */
function withSql<T>(folder: string, work: (database: Database) => T): T {
  const database = openDatabase(join(folder, FILE));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** A store with a hundred records, closed. */
async function fill(folder: string): Promise<void> {
  await using store = await openIn(folder);
  for (let index = 0; index < 100; index++) {
    const userData = new Uint8Array(3000).fill(index);
    await store.put(record({ id: `i-${index}`, nics: [nic(`10.1.1.${index}`)], userData }));
  }
}

test("a store that was there first is made private, or refused if it is somebody else's", async () => {
  for (const suffix of ["", ".lock"]) {
    using folder = scratch();
    const path = join(folder.path, FILE + suffix);
    writeFileSync(path, "");
    const modes: readonly (readonly [before: number, after: number])[] = [
      [0o666, 0o660],
      [0o644, 0o640],
      [0o600, 0o600],
    ];
    for (const [before, after] of modes) {
      chmodSync(path, before);
      await (await openIn(folder.path)).close();
      expect(statSync(path).mode & 0o777).toBe(after);
    }
    if (process.getuid?.() !== 0) continue;
    chownSync(path, OTHER, OTHER);
    await expect(openIn(folder.path)).rejects.toMatchObject({ code: "STORE_UNWRITABLE" });
    chownSync(folder.path, OTHER, OTHER);
    await (await openIn(folder.path)).close();
  }
});

/** Nobody's id. */
const OTHER = 12_345;

test("nothing that a guest may read stands in the file as it is", async () => {
  using folder = scratch();
  const words = ["pa55word", "k3yvalue", "pub11ckey", "sm4lluser", "l4rgeuser"];
  const [password = "", value = "", key = "", small = "", large = ""] = words;
  const store = await openIn(folder.path);
  const body = (word: string, length: number) => Buffer.from(word.repeat(length));
  const secret = { id: "s-1", password };
  const common = { password: secret, keys: [["own", value]], publicKeys: [key] };
  await store.put(record({ ...common, userData: body(small, 10) }));
  await store.put(record({ ...common, id: "i-2", nics: [], userData: body(large, 1000) }));
  const check = (): void => {
    const files = readdirSync(folder.path).map((name) => readFileSync(join(folder.path, name)));
    const all = Buffer.concat(files);
    expect(all.includes("i-2")).toBe(true);
    for (const word of words) expect([word, all.includes(word)]).toEqual([word, false]);
    const base64 = Buffer.from(small).toString("base64");
    expect(all.includes(base64)).toBe(false);
  };
  check();
  await store.close();
  check();
});

test("its files are their owner's alone", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path);
  await store.put(record());
  const modes = readdirSync(folder.path).map((name) => [
    name,
    statSync(join(folder.path, name)).mode & 0o777,
  ]);
  expect(modes.length).toBeGreaterThan(2);
  for (const [name, mode] of modes) expect([name, mode]).toEqual([name as string, 0o600]);
});

test("one writer has it at a time, and readers beside it", async () => {
  using folder = scratch();
  await expect(openIn(folder.path, { role: "reader" })).rejects.toMatchObject({
    code: "STORE_MISSING",
  });
  const writer = await openIn(folder.path);
  await expect(openIn(folder.path)).rejects.toMatchObject({ code: "STORE_LOCKED" });
  // Nor in another process, which sees only what the kernel says.
  const child = Bun.spawnSync([process.execPath, WRITER, folder.path, "1"], { stderr: "pipe" });
  expect(child.stderr.toString()).toContain("is written by another program");
  await using reader = await openIn(folder.path, { role: "reader" });
  await writer.put(record());
  expect((await reader.get(NAME))?.revision).toBe(1);
  await expect(reader.put(record())).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
  await expect(reader.delete(NAME)).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
  await writer.close();
  await using next = await openIn(folder.path);
  expect((await next.get(NAME))?.revision).toBe(1);
});

test("a file that is sealed with another key is refused, and stays as it is", async () => {
  using folder = scratch();
  await fill(folder.path);
  const before = readFileSync(join(folder.path, FILE));
  for (const role of ["writer", "reader"] as const) {
    const sealKey = new Uint8Array(32).fill(8);
    await expect(openIn(folder.path, { sealKey, role })).rejects.toMatchObject({
      code: "STORE_KEY",
    });
  }
  expect(readFileSync(join(folder.path, FILE)).equals(before)).toBe(true);
  await using store = await openIn(folder.path);
  expect((await store.list()).records).toHaveLength(100);
});

test("a place that cannot be written is an error that says so", async () => {
  using folder = scratch();
  mkdirSync(join(folder.path, FILE));
  await expect(openIn(folder.path)).rejects.toMatchObject({ code: "STORE_UNWRITABLE" });
  await expect(openIn(join(folder.path, "missing"))).rejects.toMatchObject({
    code: "STORE_UNWRITABLE",
  });
});

const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  garbage: (path) => writeFileSync(path, "this is no store\n".repeat(5000)),
  "a few bytes": (path) => writeFileSync(path, "xyz"),
  "its first half": (path) => truncateSync(path, (statSync(path).size >> 13) << 12),
  "half a page too little": (path) => truncateSync(path, statSync(path).size - 2048),
  "another header": (path) => overwrite(path, 0, 16),
  "a first page of zeros": (path) => overwrite(path, 16, 4080),
  "pages of zeros": (path) => overwrite(path, 3 * 4096, 30 * 4096),
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`a file that is ${what} is set aside, reported, and begun anew`, async () => {
    using folder = scratch();
    const path = join(folder.path, FILE);
    for (const number of [1, 2]) {
      await fill(folder.path);
      damage(path);
      const damaged = readFileSync(path);
      const conditions = new Conditions(() => 0);
      await using store = await openIn(folder.path, { conditions });
      expect((await store.list()).records).toEqual([]);
      expect(readFileSync(`${path}.aside-${number}`).equals(damaged)).toBe(true);
      expect(conditions.list().map(({ code, subject }) => [code, subject])).toEqual([
        ["STORE_SET_ASIDE", path],
      ]);
      await store.put(record());
    }
  });
}

test("a reader refuses a damaged file, and leaves it to the writer", async () => {
  using folder = scratch();
  await fill(folder.path);
  writeFileSync(join(folder.path, FILE), "garbage".repeat(1000));
  await expect(openIn(folder.path, { role: "reader" })).rejects.toMatchObject({
    code: "STORE_UNREADABLE",
  });
  expect(readdirSync(folder.path).filter((name) => name.includes("aside"))).toEqual([]);
});

test("a store that began anew begins no epoch that the former one had", async () => {
  using folder = scratch();
  let now = Date.UTC(2026, 10, 23);
  const epochs: number[] = [];
  for (let round = 0; round < 3; round++) {
    const store = await openIn(folder.path, { now: () => now });
    for (let index = 0; index < 20; index++) {
      epochs.push((await store.put(record())).record.epoch);
      await store.delete(NAME);
    }
    await store.close();
    writeFileSync(join(folder.path, FILE), "garbage");
    now += 60_000;
  }
  expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
});

test("epochs that no writer gives out damage their records alone, and end with them", async () => {
  using folder = scratch();
  const sample = (n: number) => record({ id: `i-${n}`, nics: [nic(`10.1.1.${n}`)] });
  const first = await openIn(folder.path);
  for (const n of [1, 2, 3]) await first.put(sample(n));
  await first.close();
  withSql(folder.path, (database) => {
    database.exec("UPDATE record SET epoch = 9007199254740992 WHERE id IN ('i-2', 'i-3')");
    database.exec("UPDATE store SET epoch_floor = 9007199254740991");
    const seal = new StoreSeal(
      SEAL_KEY,
      database.prepare("SELECT id FROM store").get()?.id as never,
    );
    const write = database.prepare("UPDATE record SET document = ? WHERE id = ?");
    for (const id of ["i-2", "i-3"]) {
      const document = { format: RECORD_FORMAT, ...sample(2), id, epoch: 2 ** 53 };
      write.run(
        seal.seal(Buffer.from(JSON.stringify(document)), ["record", "204", id].join("\0")),
        id,
      );
    }
  });
  const conditions = new Conditions(() => 0);
  const store = await openIn(folder.path, { conditions });
  const ids = async () => (await store.list()).records.map(({ record }) => record.id);
  expect(await ids()).toEqual(["i-1"]);
  expect(conditions.list().map(({ code, subject }) => [code, subject])).toEqual([
    ["STORE_RECORD_DAMAGED", "instance i-2 of network 204"],
    ["STORE_RECORD_DAMAGED", "instance i-3 of network 204"],
  ]);
  expect((await store.put(sample(2))).record.epoch).toBeLessThan(1000);
  await store.delete({ network: "204", id: "i-3" });
  expect((await store.put(sample(4))).record.epoch).toBeLessThan(1000);
  expect(await ids()).toEqual(["i-1", "i-2", "i-4"]);
  await store.close();
});

test("a store is in its file as soon as it is made, whatever becomes of the log", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path);
  const copy = join(folder.path, "copy");
  mkdirSync(copy);
  writeFileSync(join(copy, FILE), readFileSync(join(folder.path, FILE)));
  await using reader = await openIn(copy, { role: "reader" });
  expect(reader.id).toBe(store.id);
});

test("a database of another program is refused, and stays as it is", async () => {
  using folder = scratch();
  withSql(folder.path, (database) => database.exec("CREATE TABLE theirs (a TEXT) STRICT"));
  const before = readFileSync(join(folder.path, FILE));
  for (const role of ["writer", "reader"] as const) {
    await expect(openIn(folder.path, { role })).rejects.toMatchObject({ code: "STORE_FORMAT" });
  }
  expect(readFileSync(join(folder.path, FILE)).equals(before)).toBe(true);
});

test("versions: one newer is worked on, two newer is refused", async () => {
  using folder = scratch();
  await fill(folder.path);
  withSql(folder.path, (database) => {
    database.exec("ALTER TABLE record ADD COLUMN colour TEXT");
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
  });
  const store = await openIn(folder.path);
  await store.put(record({ name: "web-02" }));
  expect((await store.list()).records).toHaveLength(100);
  await store.close();
  withSql(folder.path, (database) => {
    expect(versionOf(database)).toBe(MIGRATIONS.length + 1);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length + 2}`);
  });
  for (const role of ["writer", "reader"] as const) {
    await expect(openIn(folder.path, { role })).rejects.toMatchObject({ code: "STORE_FORMAT" });
  }
  expect(existsSync(join(folder.path, `${FILE}.aside-1`))).toBe(false);
});

test("a file of an older version is brought to the newest, and keeps what it has", async () => {
  using folder = scratch();
  await fill(folder.path);
  const older = MIGRATIONS.length;
  const two = [
    ...MIGRATIONS,
    "ALTER TABLE record ADD COLUMN colour TEXT; UPDATE record SET colour = 'blue'",
    "CREATE TABLE painter (name TEXT) STRICT",
  ];
  const broken = [...MIGRATIONS, `${two[older]}; SELECT * FROM nowhere`];
  withSql(folder.path, (database) => {
    // One that fails in the middle leaves the version before, whole.
    expect(() => migrate(database, FILE, broken)).toThrow("nowhere");
    expect(versionOf(database)).toBe(older);
    expect(() => database.exec("SELECT colour FROM record")).toThrow();
    migrate(database, FILE, two);
    expect(versionOf(database)).toBe(older + 2);
    migrate(database, FILE, two);
    const [count] = database.prepare("SELECT count(*) AS n, colour FROM record").all();
    expect({ ...count }).toEqual({ n: 100, colour: "blue" });
    expect(database.prepare("SELECT * FROM painter").all()).toEqual([]);
  });
});

test("a record that does not open is left out and reported", async () => {
  using folder = scratch();
  const conditions = new Conditions(() => 0);
  await using store = await openIn(folder.path, { conditions });
  const epoch = (await store.put(record())).record.epoch;
  await store.put(record({ id: "i-2", nics: [nic("10.1.1.2")] }));
  // Another record's document, which is sealed for its place.
  withSql(folder.path, (database) =>
    database.exec(
      `UPDATE record SET document = (SELECT document FROM record WHERE id = 'i-2')
       WHERE id = 'i-1'`,
    ),
  );
  expect(await store.get(NAME)).toBeUndefined();
  expect((await store.list()).records.map(({ record }) => record.id)).toEqual(["i-2"]);
  const reported = () => conditions.list().map(({ code, subject }) => [code, subject]);
  expect(reported()).toEqual([["STORE_RECORD_DAMAGED", "instance i-1 of network 204"]]);
  const again = await store.put(record({ nics: [nic("10.1.1.3")] }), { expect: 0 });
  expect(again.record.epoch).toBeGreaterThan(epoch);
  expect((await store.get(NAME))?.record.nics).toEqual([nic("10.1.1.3")] as never);
  expect(reported()).toEqual([]);
  // What it had is free again.
  await store.put(record({ id: "i-4", nics: [nic("10.1.1.1")] }));
});

test("records of one format newer are read, of two newer refused", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path);
  await store.put(record());
  const { network, id } = NAME;
  const write = (format: number) =>
    withSql(folder.path, (database) => {
      const row = database.prepare("SELECT id FROM store").get();
      const seal = new StoreSeal(SEAL_KEY, row?.id as Uint8Array);
      const document = { ...record(), format, colour: "blue" };
      const sealed = seal.seal(Buffer.from(JSON.stringify(document)), `record\0${network}\0${id}`);
      database.prepare("UPDATE record SET document = ?").run(sealed);
    });
  for (const format of [RECORD_FORMAT - 1, RECORD_FORMAT, RECORD_FORMAT + 1]) {
    write(format);
    expect((await store.get(NAME))?.record).toEqual(record());
  }
  write(RECORD_FORMAT + 2);
  await expect(store.get(NAME)).rejects.toMatchObject({ code: "STORE_FORMAT" });
});

test("equal user data is kept once, and no longer than somebody has it", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path);
  const bodies = () =>
    withSql(folder.path, (database) => database.prepare("SELECT name FROM body").all().length);
  const userData = new Uint8Array(100_000).fill(1);
  await store.put(record({ userData }));
  await store.put(record({ id: "i-2", nics: [], userData }));
  expect(bodies()).toBe(1);
  const kept = (await store.get(NAME))?.record as InstanceRecord;
  await store.put(record({ userData: new Uint8Array(100_000).fill(2) }));
  expect(bodies()).toBe(2);
  await store.delete({ ...NAME, id: "i-2" });
  expect(bodies()).toBe(1);
  // Whoever still holds the former record is told to read it again.
  await expect(whole(kept)).rejects.toMatchObject({ code: "STORE_BODY_GONE" });
  await store.put(record());
  expect(bodies()).toBe(0);
});

function overwrite(path: string, from: number, length: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0, from, Math.min(bytes.length, from + length));
  writeFileSync(path, bytes);
}
