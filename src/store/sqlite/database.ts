/**
 * SQLite as the runtime has it: `node:sqlite`, which Bun has as well, so that one driver does.
 *
 * Its errors become those of the closed set. Nothing of a statement's values stands in them.
 */

import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../../model/errors.ts";
import { BUSY_TIMEOUT_MS } from "../limits.ts";

export type Database = DatabaseSync;

/** SQLite's primary result codes. @see https://www.sqlite.org/rescode.html */
const CODES: Readonly<Record<number, StoreError["code"]>> = {
  5: "STORE_LOCKED", // BUSY
  6: "STORE_LOCKED", // LOCKED
  8: "STORE_UNWRITABLE", // READONLY
  10: "STORE_UNWRITABLE", // IOERR
  11: "STORE_UNREADABLE", // CORRUPT
  13: "STORE_UNWRITABLE", // FULL
  14: "STORE_UNWRITABLE", // CANTOPEN
  23: "STORE_UNWRITABLE", // AUTH
  26: "STORE_UNREADABLE", // NOTADB
};
/** A file that ends before its header says it does. */
const IOERR_SHORT_READ = 522;

/**
 * A connection.
 *
 * @param busyMs how long it waits where another program holds the file; all of this program does
 * @throws {StoreError} STORE_UNSUPPORTED where the runtime has no SQLite; else as `asStoreError`.
 */
export function openDatabase(path: string, busyMs: number = BUSY_TIMEOUT_MS): Database {
  const sqlite = process.getBuiltinModule?.("node:sqlite");
  if (sqlite === undefined) {
    throw new StoreError(
      "STORE_UNSUPPORTED",
      `Node.js ${process.versions.node} has no SQLite; run the binary, or Node.js 22.13 or later`,
    );
  }
  try {
    const database = new sqlite.DatabaseSync(path);
    database.exec(`PRAGMA busy_timeout = ${busyMs}`);
    // Others may have written the file: its tables call nothing, and its pages are looked at.
    database.exec("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
    return database;
  } catch (error) {
    throw asStoreError(error, path);
  }
}

/** What SQLite says, as one of our errors; any other error as it is. */
export function asStoreError(error: unknown, path: string): unknown {
  const errcode = sqliteCode(error);
  if (errcode === undefined) return error;
  const code = errcode === IOERR_SHORT_READ ? "STORE_UNREADABLE" : CODES[errcode & 0xff];
  if (code === undefined) return error;
  return new StoreError(code, `${path}: ${(error as Error).message}`, { cause: error });
}

/** Whether another program writes at this moment. */
export function isBusy(error: unknown): boolean {
  return (sqliteCode(error) ?? 0) % 256 === 5;
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}

/** Runs `work` in a transaction: all of it is there afterwards, or nothing. */
export function transact<T>(database: Database, kind: "IMMEDIATE" | "DEFERRED", work: () => T): T {
  database.exec(`BEGIN ${kind}`);
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // Some errors of SQLite have rolled it back already.
    if (database.isTransaction !== false) rollback(database);
    throw error;
  }
}

function rollback(database: Database): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // There was none any more.
  }
}
