/**
 * The tables of the store, and how a file of an older version becomes one of this.
 *
 * `user_version` is the number of migrations that a file has seen; each runs in one transaction
 * with the number, so that a file is of one version or of the next, whatever ends the program. A
 * program works on files one version newer than it knows: a migration may add, and must leave what
 * the version before reads and writes as it is. What it may add is in `schema-check.ts`: a trigger,
 * for one, must be known to the version before.
 */

import { StoreError } from "../../model/errors.ts";
import { type Database, transact } from "./database.ts";

/** "FDst": says whose file it is. */
export const APPLICATION_ID = 0x4644_7374;

/** Never changed once released: a new version is a new line. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE store (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     id BLOB NOT NULL,
     seal_check BLOB NOT NULL,
     revision INTEGER NOT NULL,
     epoch_floor INTEGER NOT NULL,
     remembered_from INTEGER NOT NULL,
     networks TEXT NOT NULL DEFAULT '[]',
     networks_revision INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE body (
     name BLOB PRIMARY KEY,
     sealed BLOB NOT NULL
   ) STRICT;
   CREATE TABLE record (
     network TEXT NOT NULL,
     id TEXT NOT NULL,
     revision INTEGER NOT NULL,
     content_revision INTEGER NOT NULL,
     epoch INTEGER NOT NULL,
     document BLOB NOT NULL,
     secret BLOB,
     acknowledged TEXT NOT NULL DEFAULT '[]',
     body BLOB,
     PRIMARY KEY (network, id)
   ) STRICT;
   CREATE UNIQUE INDEX record_by_revision ON record (revision);
   CREATE INDEX record_by_body ON record (body) WHERE body IS NOT NULL;
   CREATE TABLE address (
     network TEXT NOT NULL,
     address TEXT NOT NULL,
     id TEXT NOT NULL,
     PRIMARY KEY (network, address)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX address_by_record ON address (network, id);
   CREATE TABLE removed (
     revision INTEGER PRIMARY KEY,
     network TEXT NOT NULL,
     id TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE document (
     kind TEXT NOT NULL,
     id TEXT NOT NULL,
     sealed BLOB NOT NULL,
     PRIMARY KEY (kind, id)
   ) STRICT;`,
  // By triggers, because a program of the version before writes records too, and names none.
  `CREATE TABLE payload (
     name BLOB PRIMARY KEY,
     bytes INTEGER NOT NULL,
     sealed BLOB NOT NULL
   ) STRICT;
   CREATE TABLE payload_part (
     name BLOB NOT NULL,
     part INTEGER NOT NULL,
     sealed BLOB NOT NULL,
     PRIMARY KEY (name, part)
   ) STRICT;
   CREATE TABLE payload_use (
     name BLOB NOT NULL,
     network TEXT NOT NULL,
     id TEXT NOT NULL,
     PRIMARY KEY (name, network, id)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX payload_use_by_record ON payload_use (network, id);
   CREATE TRIGGER payload_use_anew AFTER UPDATE OF document ON record BEGIN
     DELETE FROM payload_use WHERE network = OLD.network AND id = OLD.id;
   END;
   CREATE TRIGGER payload_use_ends AFTER DELETE ON record BEGIN
     DELETE FROM payload_use WHERE network = OLD.network AND id = OLD.id;
   END;`,
];

export function versionOf(database: Database): number {
  const row = database.prepare("PRAGMA user_version").get();
  return Number(row?.user_version);
}

/** @throws {StoreError} STORE_FORMAT if the file is another program's, or of a version too new. */
export function checkFormat(database: Database, path: string, migrations = MIGRATIONS): number {
  const version = versionOf(database);
  const owner = Number(database.prepare("PRAGMA application_id").get()?.application_id);
  const tables = Number(database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n);
  if (owner !== APPLICATION_ID && (owner !== 0 || version !== 0 || tables !== 0)) {
    throw new StoreError("STORE_FORMAT", `${path} is the database of another program`);
  }
  if (version > migrations.length + 1) {
    throw new StoreError(
      "STORE_FORMAT",
      `${path} is of version ${version}; this program works on ${migrations.length + 1} at most`,
    );
  }
  return version;
}

/** Brings a file to the newest version. */
export function migrate(database: Database, path: string, migrations = MIGRATIONS): void {
  for (let version = checkFormat(database, path, migrations); version < migrations.length; ) {
    const step = migrations[version] ?? "";
    version++;
    transact(database, "IMMEDIATE", () => {
      database.exec(step);
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      database.exec(`PRAGMA user_version = ${version}`);
    });
  }
}
