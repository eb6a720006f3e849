/**
 * The few things that the state directory asks of a disk, so that tests can put a broken one in
 * its place. Files are private (0600), directories too (0700).
 */

import * as fs from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

export interface DiskFile {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Returns when what was written survives a loss of power. */
  sync(): Promise<void>;
  /** Cuts the file, after a write that failed half-way. */
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Makes a file that does not exist yet. */
  create(path: string): Promise<DiskFile>;
  /** Makes the content of a file that was written and closed survive a loss of power. */
  syncFile(path: string): Promise<void>;
  /** The same for the names in a folder. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; it may be gone already. */
  remove(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
}

// Plain descriptors: a handle that is collected while a write hangs would end the program.
const open = promisify(fs.open);
const write = promisify(fs.write);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);
const ftruncate = promisify(fs.ftruncate);
const close = promisify(fs.close);

export const nodeDisk: Disk = {
  async create(path) {
    return fileOf(await open(path, "wx", 0o600));
  },
  syncFile: sync,
  syncFolder: sync,
  rename,
  async remove(path) {
    await rm(path, { force: true });
  },
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
};

/** Codes with which a system says that it cannot write now, but may later. */
const UNWRITABLE = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE", "ENFILE", "ENOMEM"]);

/** Whether an error says "not now", other than "never" or a mistake in the program. */
export function isUnwritable(error: unknown): boolean {
  return UNWRITABLE.has(codeOf(error) ?? "");
}

/** The system's code of an error, such as ENOSPC. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What to tell people about a failure: the system's code says it best, and holds no secret. */
export function reasonOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error ? error.name : "unknown error");
}

async function sync(path: string): Promise<void> {
  const fd = await open(path, "r");
  try {
    await fsync(fd);
  } finally {
    await close(fd);
  }
}

function fileOf(fd: number): DiskFile {
  let end = 0;
  return {
    async write(bytes) {
      let done = 0;
      while (done < bytes.length) {
        // Short writes are how a disk that is nearly full announces itself.
        const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, end + done);
        if (bytesWritten === 0) throw Object.assign(new Error("nothing written"), { code: "EIO" });
        done += bytesWritten;
      }
      end += done;
    },
    sync: () => fdatasync(fd),
    async truncate(length) {
      await ftruncate(fd, length);
      end = length;
    },
    close: () => close(fd),
  };
}
