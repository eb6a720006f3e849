/** A file whose tables are not those of a store is damaged: nothing in it is worked on. */

import { expect, test } from "bun:test";
import { copyFileSync, existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Conditions } from "../../src/observe/conditions.ts";
import { type Database, openDatabase } from "../../src/store/sqlite/database.ts";
import { MIGRATIONS, migrate } from "../../src/store/sqlite/schema.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";
import { listen, optionsOf, record, scratch } from "./samples.ts";

const NAME = { network: "204", id: "i-1" };
const ROOT = join(import.meta.dirname, "../..");

/** Who asks it for a record gets none, ever, unless `limit` says how often it tries. */
const viewOf = (limit: string): string => `
  ALTER TABLE record RENAME TO record_;
  CREATE VIEW record AS
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c ${limit})
    SELECT network, id, revision, content_revision, epoch, document, secret, acknowledged, body
    FROM record_, c WHERE x < 0;
  UPDATE store SET revision = revision + 10, remembered_from = revision + 10`;

const inText = (from: string, to: string): string => `
  PRAGMA writable_schema = ON;
  UPDATE sqlite_schema SET sql = replace(sql, '${from}', '${to}') WHERE sql LIKE '%${from}%';
  PRAGMA writable_schema = RESET`;

/** What no version has. */
const STRANGE: Readonly<Record<string, string>> = {
  "a view": viewOf("LIMIT 9"),
  "a view more": "CREATE VIEW more AS SELECT 1 AS one",
  "a trigger": "CREATE TRIGGER more AFTER UPDATE ON store BEGIN SELECT 1; END",
  "a trigger less": "DROP TRIGGER payload_use_ends",
  "a trigger that does something else": `DROP TRIGGER payload_use_ends;
    CREATE TRIGGER payload_use_ends AFTER DELETE ON record BEGIN DELETE FROM payload_use; END`,
  "a column that is computed": "ALTER TABLE record ADD COLUMN more INTEGER AS (length(id))",
  "a default that is computed": inText("body BLOB,", "body BLOB DEFAULT (length(1)),"),
  "a condition": inText("body BLOB,", "body BLOB CHECK (length(id) > 0),"),
  "a condition of the table": inText("(network, id)\n", "(network, id), CHECK (length(id) > 0)\n"),
  "an index of an expression": "CREATE INDEX more ON record (length(id))",
  "an index where an expression holds": "CREATE INDEX more ON record (id) WHERE length(id) > 1",
  "an index less": "DROP INDEX record_by_revision",
  "a table less": "DROP TABLE document",
  "a column less": "ALTER TABLE record DROP COLUMN acknowledged",
  "a table with a condition": "CREATE TABLE more (a TEXT CHECK (length(a) > 1)) STRICT",
  "a table that something else answers": "CREATE VIRTUAL TABLE more USING fts5(a)",
  "tables without end": Array.from(
    { length: 200 },
    (_, index) => `CREATE TABLE t${index} (a TEXT) STRICT`,
  ).join(";"),
};

/** What a newer version may have. */
const PLAIN: Readonly<Record<string, string>> = {
  "a column": "ALTER TABLE record ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'",
  "a column at the end": "ALTER TABLE store ADD COLUMN painted INTEGER NOT NULL DEFAULT 0",
  "a table": "CREATE TABLE painter (name TEXT PRIMARY KEY, age INTEGER, face BLOB) STRICT",
  "a table of two keys": `CREATE TABLE painted (
     name TEXT NOT NULL,
     id TEXT NOT NULL DEFAULT '[]',
     PRIMARY KEY (name, id)
   ) STRICT, WITHOUT ROWID`,
  "an index": "CREATE UNIQUE INDEX more ON record (epoch, id)",
  "an index where something is": "CREATE INDEX more ON record (body, id) WHERE body IS NOT NULL",
};

const NEWER = `PRAGMA user_version = ${MIGRATIONS.length + 1}`;

const CASES: readonly (readonly [what: string, sql: string, isUsable: boolean])[] = [
  ["as it was made", "", true],
  ["what ANALYZE leaves", "ANALYZE", true],
  ["of a newer version, as it was made", NEWER, true],
  ...Object.entries(STRANGE).flatMap(([what, sql]) => [
    [what, sql, false] as const,
    [`of a newer version, ${what}`, `${sql};${NEWER}`, false] as const,
  ]),
  ...Object.entries(PLAIN).flatMap(([what, sql]) => [
    [what, sql, false] as const,
    [`of a newer version, ${what}`, `${sql};${NEWER}`, true] as const,
  ]),
  ["of a newer version, all", [...Object.values(PLAIN).slice(0, 5), NEWER].join(";"), true],
  ["of an older version, tables of this", `PRAGMA user_version = ${MIGRATIONS.length - 1}`, false],
];

for (const [what, sql, isUsable] of CASES) {
  test(`a file with ${what}: ${isUsable ? "it is read and written" : "it is damaged"}`, async () => {
    using folder = scratch();
    const path = await filled(folder.path);
    withSql(path, (database) => database.exec(sql));
    const reading = open(path, { role: "reader" });
    if (isUsable) {
      await using reader = await reading;
      expect((await reader.get(NAME))?.record.id).toBe("i-1");
      await using follower = listen(reader);
      await follower.reaches(1);
    } else {
      await expect(reading).rejects.toMatchObject({ code: "STORE_UNREADABLE" });
    }
    const conditions = new Conditions(() => 0);
    await using writer = await open(path, { conditions });
    await writer.put(record({ name: "again" }));
    expect(existsSync(`${path}.aside-1`)).toBe(!isUsable);
    expect(conditions.count("STORE_SET_ASIDE")).toBe(isUsable ? 0 : 1);
  });
}

test("a file of the version before is read", async () => {
  using folder = scratch();
  const path = join(folder.path, "old.sqlite");
  const old = openDatabase(path);
  migrate(old, path, MIGRATIONS.slice(0, -1));
  old.close();
  const full = await filled(folder.path);
  withSql(path, (database) => {
    database.exec(`ATTACH '${full}' AS new`);
    for (const table of ["store", "record", "address"]) {
      database.exec(`INSERT INTO ${table} SELECT * FROM new.${table}`);
    }
  });
  await using reader = await open(path, { role: "reader" });
  expect((await reader.get(NAME))?.record.id).toBe("i-1");
});

test("a store whose tables change while it is open is not worked on any more", async () => {
  using folder = scratch();
  const path = await filled(folder.path);
  await using writer = await open(path);
  await using reader = await open(path, { role: "reader" });
  const follower = listen(reader);
  await follower.reaches(1);
  withSql(path, (database) => database.exec(viewOf("LIMIT 9")));
  expect(await follower.failed).toMatchObject({ code: "STORE_UNREADABLE" });
  const ack = { network: "204", instance: "i-1", epoch: 1, secretId: "s-1" };
  for (const work of [
    () => reader.get(NAME),
    () => reader.list(),
    () => reader.ack(ack),
    () => writer.get(NAME),
    () => writer.put(record({ name: "web-02" })),
    () => writer.payloads(),
  ]) {
    await expect(work()).rejects.toMatchObject({ code: "STORE_UNREADABLE" });
  }
});

test("a view that never ends keeps nobody", async () => {
  using folder = scratch();
  const path = await filled(folder.path);
  copyFileSync(path, `${path}.copy`);
  withSql(`${path}.copy`, (database) => database.exec(viewOf("")));
  renameSync(`${path}.copy`, path);
  const script = `
    import { openSqlite } from "${ROOT}/src/store/sqlite.ts";
    import { optionsOf } from "${ROOT}/test/store/samples.ts";
    const look = async (role) => {
      const store = await openSqlite("${path}", optionsOf({ role }));
      for await (const { revision } of store.follow(new AbortController().signal)) return revision;
    };
    for (const role of ["reader", "writer"]) {
      console.log(await look(role).catch(({ code }) => code));
    }
    process.exit(0);`;
  const child = Bun.spawnSync([process.execPath, "-e", script], { timeout: 20_000 });
  expect(child.stdout.toString()).toBe("STORE_UNREADABLE\n0\n");
}, 30_000);

function open(path: string, changed: Partial<StoreOptions> = {}): Promise<Store> {
  return openSqlite(path, optionsOf(changed));
}

/** A store with one record, closed. */
async function filled(folder: string): Promise<string> {
  const path = join(folder, "store.sqlite");
  await using store = await open(path);
  await store.put(record());
  return path;
}

function withSql(path: string, work: (database: Database) => void): void {
  // SQLite keeps whoever asks it so from changing the text of tables; who writes bytes it does not.
  const database = new DatabaseSync(path, { defensive: false } as object);
  try {
    work(database);
  } finally {
    database.close();
  }
}
