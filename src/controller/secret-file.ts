/**
 * Files that hold secrets or decide who may do what: only their owner reads and writes them, they
 * are replaced whole, and they are read again when they change.
 */

import { constants } from "node:fs";
import { type FileHandle, link, lstat, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError, StateError } from "../model/errors.ts";
import { isTrustedOwner } from "../platform/owner.ts";

const MODE = 0o600;
const OTHERS = 0o077;

const VARIABLE = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(["']?)(.*?)\2\s*$/;

/** Neither what is there already, nor what a link leads to. */
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A writer takes milliseconds: what lies there for longer was left by one that was killed. ms. */
const STALE_MS = 10_000;

/** A file that cannot be used is tried again so often, also when nobody asks. ms. */
const RETRY_MS = 1000;

/**
 * @returns `undefined` if there is no such file
 * @throws {StateError} if others may use it or made it, it is no file, too long, or cannot be read.
 */
export async function readSecretFile(path: string, bytesMax: number): Promise<string | undefined> {
  let file: FileHandle;
  try {
    // A pipe in its place would keep whoever opens it waiting.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StateError("STATE_UNREADABLE", `${path} cannot be read`, { cause: error });
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new StateError("STATE_UNREADABLE", `${path} is not a file`);
    if ((stats.mode & OTHERS) !== 0) {
      const mode = (stats.mode & 0o777).toString(8);
      const message = `${path} has mode ${mode}: others may use it; run chmod 600 on it`;
      throw new StateError("STATE_PERMISSIONS", message);
    }
    if (!isTrustedOwner(path, stats.uid)) {
      const whose = `belongs to user ${stats.uid}, who may not decide that`;
      const message = `${path} ${whose}; run chown on it`;
      throw new StateError("STATE_PERMISSIONS", message);
    }
    if (stats.size > bytesMax) {
      throw new StateError("STATE_UNREADABLE", `${path} is longer than ${bytesMax} bytes`);
    }
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/**
 * The variables of a file of `NAME=value` lines, as a shell and a service manager read them:
 * `export`, quotes around a value, spaces around `=`, and lines of comments are allowed.
 *
 * @returns `undefined` if there is no such file
 * @throws {ConfigError} that names the line that is wrong, and shows nothing of it.
 * @throws {StateError} as `readSecretFile`.
 */
export async function readVariables(
  file: string,
  bytesMax: number,
): Promise<ReadonlyMap<string, string> | undefined> {
  const text = await readSecretFile(file, bytesMax);
  if (text === undefined) return undefined;
  const variables = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const place = { file, line: index + 1 };
    const [, name = "", , value = ""] = VARIABLE.exec(line) ?? [];
    if (name === "") throw new ConfigError("must be NAME=VALUE", place);
    if (variables.has(name)) throw new ConfigError(`${name} is given twice`, place);
    variables.set(name, value);
  }
  return variables;
}

/** What a file is like now: another text says that it may hold something else. */
export async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mode, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino} ${size} ${mode} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

export interface FollowedFile<T> {
  readonly path: string;
  /** Reads the file whole. Rejects where it cannot be used. */
  readonly read: () => Promise<T>;
  /** Told when the file cannot be used, and with `undefined` when it can again. */
  readonly onTrouble: (message: string | undefined) => void;
}

/**
 * Reads a file, and again whenever it has changed. While it cannot be used, what it said last
 * stays, and it is tried again by itself.
 *
 * @returns what the file says now; it looks first, and never rejects
 * @throws what `read` throws, if the file cannot be used now.
 */
export async function followSecretFile<T>(file: FollowedFile<T>): Promise<() => Promise<T>> {
  const { path, read, onTrouble } = file;
  let seen: string | undefined = await stampOf(path);
  let value = await read();
  let retry: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const stamp = await stampOf(path);
    if (stamp === seen) return;
    seen = stamp;
    clearTimeout(retry);
    try {
      value = await read();
      onTrouble(undefined);
    } catch (error) {
      onTrouble(error instanceof Error ? error.message : String(error));
      // The file may be good, and the reason elsewhere: its stamp would not tell when that ends.
      retry = setTimeout(() => {
        seen = undefined;
        void current();
      }, RETRY_MS);
      retry.unref();
    }
  };
  // One look at a time. Who asks meanwhile shares the next, which begins after he has asked.
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    next = undefined;
    running = look();
    return running;
  };
  const current = async (): Promise<T> => {
    next ??= running.then(begin, begin);
    await next;
    return value;
  };
  return current;
}

/**
 * Reads, changes and replaces a file; one writer at a time, also of several programs.
 *
 * @param change from what is there, or "" where there is none, to what shall be there
 * @throws {StateError} as `readSecretFile`, and if another writer is at work or the disk refuses.
 */
export async function changeSecretFile(
  path: string,
  bytesMax: number,
  change: (text: string) => string,
): Promise<void> {
  const beside = `${path}.new`;
  const file = await openBeside(beside);
  try {
    const before = await readSecretFile(path, bytesMax);
    await file.writeFile(change(before ?? ""));
    await file.sync();
    await giveToOwner(path, file);
    await rename(beside, path);
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw isOurs(error) ? error : unwritable(path, error);
  } finally {
    await file.close();
  }
}

/**
 * Writes a file that is not there yet.
 *
 * @returns whether it was written; `false` if there is one by now
 * @throws {StateError} if the disk refuses.
 */
export async function writeSecretFile(path: string, text: string): Promise<boolean> {
  const beside = `${path}.new`;
  const file = await openBeside(beside);
  try {
    await file.writeFile(text);
    await file.sync();
    await giveToOwner(path, file);
    await link(beside, path); // Unlike a rename it replaces nothing.
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw unwritable(path, error);
  } finally {
    await file.close();
    await unlink(beside).catch(() => {});
  }
}

/** The file beside is also the lock: there is one at a time. */
async function openBeside(beside: string): Promise<FileHandle> {
  for (const isLast of [false, true]) {
    try {
      return await open(beside, NEW, MODE);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EEXIST";
      if (!isTaken) throw unwritable(beside, error);
      const age = Date.now() - ((await lstat(beside).catch(() => undefined))?.mtimeMs ?? 0);
      if (isLast || age < STALE_MS) break;
      await unlink(beside).catch(() => {});
    }
  }
  throw new StateError("STATE_LOCKED", `another program is writing ${beside}; try again`);
}

/**
 * What root writes into a service's folder is for the service. By the open file: the service may
 * put another one under its name meanwhile.
 */
async function giveToOwner(path: string, file: FileHandle): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await lstat(path).catch(() => stat(dirname(path)));
  await file.chown(uid, gid);
}

function isOurs(error: unknown): boolean {
  return error instanceof Error && "remedy" in error;
}

function unwritable(path: string, cause: unknown): StateError {
  const { code = "unknown" } = cause as NodeJS.ErrnoException;
  return new StateError("STATE_UNWRITABLE", `${path} cannot be written (${code})`, { cause });
}
