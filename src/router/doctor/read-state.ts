/** The state directory as it lies there: whose it is, whether it can be written, and its key. */

import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { holderOf } from "../state/lock.ts";
import { placeOf } from "../state/place.ts";
import type { Facts, SealKey, StateDir } from "./facts.ts";

/** Any name does: the folder of a realm is not looked at. */
const placeIn = (dir: string) => placeOf(dir, "main");

export async function readState(dir: string): Promise<Facts["state"]> {
  try {
    const { uid, mode } = await stat(dir);
    const free = await statfs(dir).catch(() => undefined);
    return {
      uid,
      mode: mode & 0o777,
      writable: await writable(dir),
      freeBytes: free === undefined ? undefined : free.bavail * free.bsize,
      // Some file systems count no inodes, and say 0 of 0.
      freeInodes: free === undefined || free.files === 0 ? undefined : free.ffree,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" || code === "EPERM" ? "hidden" : "absent";
  }
}

async function writable(dir: string): Promise<StateDir["writable"]> {
  try {
    await access(dir, constants.W_OK);
    return "yes";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS" ? "read-only" : "no";
  }
}

/** Only what the key's file is, never what is in it. */
export async function readSealKeyFile(
  dir: string,
  elsewhere: string | undefined,
): Promise<SealKey> {
  const path = elsewhere ?? placeIn(dir).sealKey;
  const isElsewhere = elsewhere !== undefined;
  try {
    const { uid, mode, size } = await stat(path);
    return { path, isElsewhere, file: { uid, mode: mode & 0o777, bytes: size } };
  } catch {
    return { path, isElsewhere };
  }
}

export function readHolder(dir: string): Facts["lock"] {
  try {
    return holderOf(placeIn(dir).lock);
  } catch {
    return undefined; // Not ours to read; the directory's own check says so.
  }
}
