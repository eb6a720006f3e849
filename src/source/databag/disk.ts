/**
 * Files as the operating system has them: opened without waiting, told apart by their stamps, and
 * what its errors mean.
 */

import { constants } from "node:fs";
import { type FileHandle, stat } from "node:fs/promises";
import { type Readable, TornError } from "./stream.ts";

/** Non-blocking: what is no file after all, a FIFO for one, must not hold up this program. */
export const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** What an error means, as the end of a sentence about the file. */
export const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is not a directory",
  EACCES: "may not be read by this program",
  EPERM: "may not be read by this program",
};

/** Whether an error is the operating system's word on a file. */
export function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return typeof (error as NodeJS.ErrnoException | undefined)?.syscall === "string";
}

/** Why a folder cannot hold databags, as the end of a sentence; `undefined` if it can. */
export async function folderFault(path: string): Promise<string | undefined> {
  try {
    return (await stat(path)).isDirectory() ? undefined : "is not a directory";
  } catch (error) {
    if (!isFileError(error)) throw error;
    const { code = "an unknown error" } = error;
    return REASONS[code] ?? `fails with ${code}`;
  }
}

/** A file that is open, for whoever reads it in pieces. */
export function readable(handle: FileHandle, size: number): Readable {
  return {
    size,
    async read(into, at) {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
        if (bytesRead === 0) throw new TornError("the file ended early");
        done += bytesRead;
      }
    },
  };
}

interface Stamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** Equal as long as the file is. */
export function sign({ dev, ino, size, mtimeNs, ctimeNs }: Stamp): string {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}
