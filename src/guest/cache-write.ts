/**
 * Writes the cache: whoever reads it sees one state or the next, never half of one, whatever is
 * killed or switched off meanwhile.
 *
 * It is written only where nobody else can put a link or a file of his own. A temporary file lies
 * beside it for as long as it takes; one that a killed process has left goes with the next write.
 */

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { GuestError, quote, UsageError } from "../model/errors.ts";

export interface Target {
  /** Its folder is resolved: only the last name may not be a link. */
  readonly path: string;
  /** Whose file it becomes; root and ourselves are trusted. */
  readonly uid: number;
  /** May read it too. */
  readonly gid: number | undefined;
}

const OWNER_ONLY = 0o600;
const OWNER_AND_GROUP = 0o640;
const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;
/** A gid is 32 bits, and the last one means "unchanged". */
const GID_MAX = 2 ** 32 - 2;

/**
 * Checks where the cache is to lie, before anything is asked.
 *
 * @throws {GuestError} where somebody else could put a file or a link in its place.
 */
export function openTarget(
  output: string,
  { uid, gid }: { readonly uid: number; readonly gid: number | undefined },
): Target {
  let folder: string;
  try {
    folder = realpathSync(dirname(resolve(output)));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new GuestError("CACHE_UNWRITABLE", `no folder for ${output} (${code})`, { cause });
  }
  const { uid: owner, mode } = statSync(folder);
  if (owner !== 0 && owner !== uid) {
    throw new GuestError("CACHE_UNSAFE", `user ${owner} owns the folder ${folder}`);
  }
  if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) {
    throw new GuestError("CACHE_UNSAFE", `others can rename files in the folder ${folder}`);
  }
  const target = { path: join(folder, basename(resolve(output))), uid, gid };
  checkPresent(target);
  return target;
}

/** What lies there now must be a file of ours: others' files are never written over. */
function checkPresent({ path, uid }: Target): void {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present === undefined) return;
  if (present.isSymbolicLink()) {
    throw new GuestError("CACHE_UNSAFE", `${path} is a symbolic link; remove it first`);
  }
  if (!present.isFile()) throw new GuestError("CACHE_UNSAFE", `${path} is no regular file`);
  if (present.uid !== uid) {
    throw new GuestError("CACHE_UNSAFE", `user ${present.uid} owns ${path}; remove it first`);
  }
}

/** Replaces the file. When this returns, the new one survives a loss of power. */
export function writeCache(target: Target, text: string): void {
  checkPresent(target);
  const { path, gid } = target;
  removeLeftovers(path);
  const temporary = temporaryOf(path, process.pid);
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;
  try {
    const file = openSync(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, OWNER_ONLY);
    try {
      writeAll(file, Buffer.from(text));
      if (gid !== undefined) fchownSync(file, -1, gid);
      fchmodSync(file, gid === undefined ? OWNER_ONLY : OWNER_AND_GROUP);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    const { code = "?" } = cause as NodeJS.ErrnoException;
    const hint = code === "EPERM" && gid !== undefined ? ": are you in that group?" : "";
    throw new GuestError("CACHE_UNWRITABLE", `${path} cannot be written (${code})${hint}`, {
      cause,
    });
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** Makes the rename durable. Some file systems cannot; there the file is whole all the same. */
function syncFolder(folder: string): void {
  const file = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(file);
  } catch {
  } finally {
    closeSync(file);
  }
}

function temporaryOf(path: string, pid: number | string): string {
  return join(dirname(path), `.${basename(path)}.${pid}.tmp`);
}

/** Temporary files of processes that are no more. In a folder like /tmp only our own go. */
function removeLeftovers(path: string): void {
  const [before = "", after = ""] = basename(temporaryOf(path, "\0")).split("\0");
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(before) || !name.endsWith(after)) continue;
    const pid = Number(name.slice(before.length, -after.length));
    if (!Number.isInteger(pid) || (pid !== process.pid && isAlive(pid))) continue;
    try {
      rmSync(join(dirname(path), name));
    } catch {} // Another user's, in a folder like /tmp; it is in nobody's way.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * The number of a group.
 *
 * @throws {UsageError} if there is none of that name.
 */
export function gidOf(group: string, file = "/etc/group"): number {
  if (/^\d{1,10}$/.test(group) && Number(group) <= GID_MAX) return Number(group);
  const lines = readFileSync(file, "utf8").split("\n");
  const fields = lines.map((line) => line.split(":")).find(([name]) => name === group);
  const gid = Number(fields?.[2]);
  if (fields === undefined || !Number.isInteger(gid)) {
    throw new UsageError(`no group ${quote(group)} in ${file}; its number works too`);
  }
  return gid;
}
