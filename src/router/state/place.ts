/**
 * The state directory itself: its folders, its format and its seal key.
 *
 * A disk that is full or read-only does not keep the router from starting: what is there is read,
 * and the rest is made up for when the disk can be written again. What only the operator can mend
 * (permissions, a key of the wrong size, a newer format) stops it.
 */

import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { quote, StateError } from "../../model/errors.ts";
import { codeOf, type Disk, isUnwritable, reasonOf } from "./disk.ts";
import { FORMAT } from "./limits.ts";
import { checkOurs } from "./ours.ts";
import { isReadable } from "./seal.ts";

export const SEAL_KEY_BYTES = 32;

export interface Place {
  readonly dir: string;
  readonly lock: string;
  readonly format: string;
  readonly sealKey: string;
  readonly run: string;
  /** The realm's own folder. */
  readonly realm: string;
  readonly bodies: string;
}

/** @param realm names a folder, so it is checked like one */
export function placeOf(dir: string, realm: string): Place {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(realm)) {
    throw new TypeError(`a realm's name must do as a folder's: ${quote(realm)}`);
  }
  const own = join(dir, "router", realm);
  return {
    dir,
    lock: join(dir, "lock"),
    format: join(dir, "format"),
    sealKey: join(dir, "seal.key"),
    run: join(dir, "run"),
    realm: own,
    bodies: join(own, "bodies"),
  };
}

/**
 * Makes the folders that are missing.
 *
 * @throws {StateError} if the directory is another user's or program's, or may not be written.
 */
export async function makeFolders(place: Place, disk: Disk): Promise<void> {
  try {
    checkOurs(place.dir);
    await disk.makeFolder(place.dir);
    makePrivate(place.dir);
    await disk.makeFolder(place.run);
    await disk.makeFolder(place.bodies);
  } catch (error) {
    throw asStateError(error, `cannot make the state directory ${place.dir}`);
  }
}

/**
 * Checks that the directory's format is one that we read, and states ours.
 *
 * @throws {StateError} if a newer program, or none of ours, has written there.
 */
export async function agreeOnFormat(place: Place, disk: Disk): Promise<void> {
  const text = readIfThere(place.format)?.toString("latin1").trim();
  if (text === String(FORMAT)) return;
  // An empty file is what a full disk leaves behind.
  if (text !== undefined && text !== "") {
    const format = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!isReadable(format)) {
      throw new StateError(
        "STATE_FORMAT",
        `${place.format}: the state has format ${quote(text)}, and this program reads up to ` +
          `${FORMAT + 1}; use the release that wrote it, or another --state-dir`,
      );
    }
  }
  await replaceFile(place.format, Buffer.from(`${FORMAT}\n`), disk);
}

/**
 * Reads the key that everything is sealed with; `undefined` if it is ours to make, and not made.
 *
 * @throws {StateError} if it cannot be used as it is.
 */
export function readSealKey(place: Place, sealKeyFile: string | undefined): Buffer | undefined {
  if (sealKeyFile === undefined) return readKey(place.sealKey, 0o077);
  // A service manager hands credentials out read-only, through the group at times.
  const key = readKey(sealKeyFile, 0o037);
  if (key !== undefined) return key;
  const make = `(umask 077; head -c ${SEAL_KEY_BYTES} /dev/urandom > ${sealKeyFile})`;
  const message = `${sealKeyFile}: no seal key there; make one: ${make}`;
  throw new StateError("STATE_KEY", message);
}

/** Puts the key of a first start in its place. */
export async function writeSealKey(place: Place, key: Buffer, disk: Disk): Promise<void> {
  const there = readKey(place.sealKey, 0o077);
  if (there === undefined) await replaceFile(place.sealKey, key, disk);
  else if (!there.equals(key)) {
    // Made by another program while the disk could not be written by this one.
    throw new StateError("STATE_KEY", `${place.sealKey}: the seal key has changed; start again`);
  }
}

/** @param forbidden bits of the mode that must not be set */
function readKey(path: string, forbidden: number): Buffer | undefined {
  const key = readIfThere(path);
  if (key === undefined) return undefined;
  const { mode, uid } = statSync(path);
  if (mode & forbidden) {
    const text = (mode & 0o777).toString(8).padStart(4, "0");
    throw new StateError(
      "STATE_KEY",
      `${path}: others may read the seal key (${text}); chmod 0600`,
    );
  }
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw new StateError("STATE_KEY", `${path}: the seal key belongs to another user (${uid})`);
  }
  if (key.length !== SEAL_KEY_BYTES) {
    const problem = `the seal key must have ${SEAL_KEY_BYTES} bytes, and has ${key.length}`;
    throw new StateError("STATE_KEY", `${path}: ${problem}`);
  }
  return key;
}

function makePrivate(dir: string): void {
  const { uid, mode } = statSync(dir);
  const own = process.geteuid?.();
  if (own !== undefined && uid !== own) {
    throw new StateError(
      "STATE_PERMISSIONS",
      `${dir} belongs to another user (${uid}); change its owner, or choose another --state-dir`,
    );
  }
  // A service manager may have made it, readable for all.
  if ((mode & 0o777) !== 0o700) chmodSync(dir, 0o700);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw asStateError(error, `cannot read ${path}`);
  }
}

/** Writes a file whole: after a loss of power it is there with all of its content, or not. */
async function replaceFile(path: string, content: Buffer, disk: Disk): Promise<void> {
  const made = `${path}.new`;
  await disk.remove(made);
  const file = await disk.create(made);
  try {
    await file.write(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(made, path);
  await disk.syncFolder(join(path, ".."));
}

/** What only the operator can mend, said clearly; what a later attempt may mend is left alone. */
export function asStateError(error: unknown, what: string): unknown {
  if (error instanceof StateError || isUnwritable(error)) return error;
  return new StateError("STATE_PERMISSIONS", `${what} (${reasonOf(error)})`, { cause: error });
}
