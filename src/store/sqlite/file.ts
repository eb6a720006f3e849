/**
 * The file of a store: opened, checked, brought up to date, or set aside when it is damaged.
 *
 * What is set aside is renamed, never deleted: somebody may still read from it. Only damage leads
 * there. A file of another program, of a version too new, or sealed with another key is refused
 * and left as it is, because a setting is wrong then and not the file.
 */

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { StoreError } from "../../model/errors.ts";
import { COUNT_MAX } from "../../model/record-limits.ts";
import { isTrustedOwner } from "../../platform/owner.ts";
import { ASIDE_MAX, BUSY_PATIENCE_MS, BUSY_TIMEOUT_MS } from "../limits.ts";
import { STORE_ID_BYTES, StoreSeal } from "../seal.ts";
import type { StoreOptions } from "../store.ts";
import { asStoreError, type Database, openDatabase, transact } from "./database.ts";
import { checkFormat, MIGRATIONS, migrate } from "./schema.ts";
import { schemaCheck } from "./schema-check.ts";

/** 2026-01-01: the seconds since then are the first epoch. Milliseconds since 1970. */
const EPOCH_ZERO_MS = 1_767_225_600_000;

/** Beyond this the log of changes is cut back when it is empty. Bytes. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;

/** Of a mode. A group may have the store, so that its routers run as another user. */
const OTHERS = 0o007;

/** SQLite's generic error: here, that a table is not there. */
const SQLITE_ERROR = 1;

/** Links that lead to a file: as many as the kernel follows. */
const LINKS_MAX = 40;

export interface Opened {
  /** Where the file lies, whatever links lead to it. */
  readonly path: string;
  readonly database: Database;
  readonly seal: StoreSeal;
  /** As `schemaCheck` returns it. */
  readonly checkSchema: () => void;
  close(): void;
}

/** @throws {StoreError} */
export function openFile(name: string, options: StoreOptions): Opened {
  const path = placeOf(name);
  if (options.role === "reader") {
    if (!existsSync(path)) throw missing(path);
    const database = openDatabase(path);
    return opened(database, path, (checkSchema) =>
      transact(database, "DEFERRED", () => {
        checkReadable(database, path, checkSchema);
        return sealOf(database, path, options);
      }),
    );
  }
  const lock = takeLock(path);
  try {
    const writer = openOrSetAside(path, options);
    return {
      ...writer,
      close() {
        writer.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/**
 * The log, the lock and what is set aside lie beside the file, as SQLite sees it: not beside a
 * link. One that leads to no file yet says where that is made.
 */
function placeOf(name: string, links = 0): string {
  try {
    return realpathSync(name);
  } catch {
    // It is not there; any other reason is said by who opens it.
  }
  try {
    const folder = realpathSync(dirname(name));
    const target = linkAt(name);
    if (target === undefined || links === LINKS_MAX) return join(folder, basename(name));
    return placeOf(resolve(folder, target), links + 1);
  } catch {
    return name;
  }
}

/** `undefined` if there is no link. */
function linkAt(name: string): string | undefined {
  try {
    return readlinkSync(name);
  } catch {
    return undefined;
  }
}

/** Which file a name stands for now; 0 where there is none. */
export function inodeOf(name: string): number {
  return statSync(name, { throwIfNoEntry: false })?.ino ?? 0;
}

/** One writer to a file. The kernel keeps the lock, so it ends with the process in any case. */
function takeLock(path: string): Database {
  createPrivate(`${path}.lock`);
  const lock = openDatabase(`${path}.lock`);
  try {
    lock.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    const known = asStoreError(error, `${path}.lock`);
    if (!(known instanceof StoreError) || known.code !== "STORE_LOCKED") throw known;
    const advice = "stop it, or choose another file";
    throw new StoreError("STORE_LOCKED", `${path} is written by another program; ${advice}`);
  }
}

function openOrSetAside(path: string, options: StoreOptions): Opened {
  try {
    return openWriter(path, options);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_UNREADABLE") throw error;
    const aside = setAside(path);
    options.conditions.raise("STORE_SET_ASIDE", path, `it is ${aside} now: ${error.message}`);
    return openWriter(path, options);
  }
}

function openWriter(path: string, options: StoreOptions): Opened {
  createPrivate(path);
  const database = openDatabase(path, BUSY_PATIENCE_MS);
  return opened(database, path, (checkSchema) => {
    checkFormat(database, path);
    checkSize(database, path);
    transact(database, "DEFERRED", () => {
      checkSchema(); // First: an expression in a table is work for who checks the pages.
      checkPages(database, path);
    });
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`);
    migrate(database, path);
    createStore(database, options);
    repairFloor(database, options);
    return sealOf(database, path, options);
  });
}

/** What a reader asks of a file. @throws {StoreError} */
function checkReadable(database: Database, path: string, checkSchema: () => void): void {
  const version = checkFormat(database, path);
  if (version === 0) throw missing(path);
  checkSchema();
  if (readStore(database) === undefined) throw missing(path);
  if (version < MIGRATIONS.length - 1) {
    const advice = "start its writer, which brings it up to date";
    throw new StoreError("STORE_FORMAT", `${path} is of version ${version}; ${advice}`);
  }
}

function missing(path: string): StoreError {
  return new StoreError("STORE_MISSING", `${path}: no program has made this store yet`);
}

/** Closes the file again if `prepare` throws. */
function opened(
  database: Database,
  path: string,
  prepare: (checkSchema: () => void) => StoreSeal,
): Opened {
  try {
    const checkSchema = schemaCheck(database, path);
    const seal = prepare(checkSchema);
    // From now on whoever is kept waiting tries again later, so that others have their turn.
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return { path, database, seal, checkSchema, close: () => database.close() };
  } catch (error) {
    database.close();
    throw asDamage(error, path);
  }
}

/** As `asStoreError`; a table that is missing is damage as well. */
function asDamage(error: unknown, path: string): unknown {
  const known = asStoreError(error, path);
  if (!(known instanceof Error) || !("errcode" in known)) return known;
  if (known.errcode !== SQLITE_ERROR) return known;
  return new StoreError("STORE_UNREADABLE", `${path}: ${known.message}`, { cause: error });
}

/**
 * A last page that is there in part, which SQLite takes for one that ends with zeros.
 *
 * While there is a log, it may hold what the file lacks.
 */
function checkSize(database: Database, path: string): void {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  const pageBytes = Number(database.prepare("PRAGMA page_size").get()?.page_size);
  const pages = Number(database.prepare("PRAGMA page_count").get()?.page_count);
  const { size } = statSync(path);
  if (size >= pageBytes * pages) return;
  const seen = `${size} of ${pageBytes * pages} bytes`;
  throw new StoreError("STORE_UNREADABLE", `${path} is damaged: ${seen}`);
}

function checkPages(database: Database, path: string): void {
  const [first] = database.prepare("PRAGMA integrity_check(1)").all();
  const said = String(first?.integrity_check);
  if (said !== "ok") throw new StoreError("STORE_UNREADABLE", `${path} is damaged: ${said}`);
}

const CREATE_STORE = `INSERT INTO store
  (one, id, seal_check, revision, epoch_floor, remembered_from) VALUES (1, ?, ?, 0, ?, 0)`;

interface StoreRow {
  readonly id: Uint8Array;
  readonly seal_check: Uint8Array;
}

function readStore(database: Database): StoreRow | undefined {
  const row = database.prepare("SELECT id, seal_check FROM store").get();
  return row as unknown as StoreRow | undefined;
}

/** Says whose store it is, once. */
function createStore(database: Database, { sealKey, now }: StoreOptions): void {
  if (readStore(database) !== undefined) return;
  const epochFloor = firstFloor(now);
  const id = randomBytes(STORE_ID_BYTES);
  const { check } = new StoreSeal(sealKey, id);
  transact(database, "IMMEDIATE", () => {
    if (database.prepare("SELECT 1 FROM record LIMIT 1").get() !== undefined) {
      throw new StoreError("STORE_UNREADABLE", "the store has lost its key's check");
    }
    database.prepare(CREATE_STORE).run(id, check, epochFloor);
  });
  // From the log into the file: whose log is lost is not taken for one that was never made.
  database.exec("PRAGMA wal_checkpoint(PASSIVE)");
}

/** By the clock, so that no epoch of a store that was here before begins again. */
function firstFloor(now: StoreOptions["now"]): number {
  return Math.max(0, Math.floor((now() - EPOCH_ZERO_MS) / 1000));
}

/** A floor that no epoch is above would let none begin: it is the clock's and the rows' again. */
function repairFloor(database: Database, { now }: StoreOptions): void {
  const sql = `UPDATE store SET epoch_floor =
    (SELECT max(?1, coalesce(max(epoch), 0)) FROM record WHERE epoch < ?2) WHERE epoch_floor >= ?2`;
  database.prepare(sql).run(firstFloor(now), COUNT_MAX);
}

function sealOf(database: Database, path: string, { sealKey }: StoreOptions): StoreSeal {
  const row = readStore(database);
  if (row === undefined) throw new StoreError("STORE_MISSING", `${path}: there is no store in it`);
  const seal = new StoreSeal(sealKey, row.id);
  if (seal.isCheck(row.seal_check)) return seal;
  const advice = "put back the key that it was made with, or move the store away";
  throw new StoreError("STORE_KEY", `${path} is sealed with another key; ${advice}`);
}

/**
 * For its owner alone; SQLite gives the files beside it the same mode.
 *
 * A file that is there is not opened: closing it would drop all locks that this process has on it.
 *
 * @see https://www.sqlite.org/howtocorrupt.html section 2.2
 */
function createPrivate(path: string): void {
  if (existsSync(path)) {
    makePrivate(path);
    return;
  }
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    throw new StoreError("STORE_UNWRITABLE", `${path}: ${code || message}`, { cause: error });
  }
}

/** One that was there first: who made it, or may write to it, could take records away. */
function makePrivate(path: string): void {
  const { uid, mode } = statSync(path);
  if (!isTrustedOwner(path, uid)) {
    const message = `${path} belongs to user ${uid}, who may not have it; move or chown it`;
    throw new StoreError("STORE_UNWRITABLE", message);
  }
  if ((mode & OTHERS) === 0) return;
  try {
    chmodSync(path, mode & 0o777 & ~OTHERS);
  } catch (cause) {
    const message = `${path}: others may write it; run chmod 600 on it`;
    throw new StoreError("STORE_UNWRITABLE", message, { cause });
  }
}

/** Renames the file and what belongs to it. @returns the new name */
function setAside(path: string): string {
  for (let number = 1; number <= ASIDE_MAX; number++) {
    const aside = `${path}.aside-${number}`;
    if (existsSync(aside)) continue;
    // The log first: without its file it is nothing, the file without its log is an older state.
    for (const suffix of ["-wal", "-shm", ""]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    return aside;
  }
  const what = `${path}: ${ASIDE_MAX} damaged files lie beside it`;
  throw new StoreError("STORE_UNREADABLE", `${what}; remove them, and check the disk`);
}
