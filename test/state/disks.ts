/**
 * Disks that fail, for the tests of the state directory.
 */

import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { type Disk, type DiskFile, nodeDisk } from "../../src/router/state/disk.ts";

/** What is done to the disk. */
export type DiskCall =
  | "create"
  | "write"
  | "sync"
  | "truncate"
  | "close"
  | "syncFile"
  | "syncFolder"
  | "rename"
  | "remove"
  | "makeFolder";

/** What a test wants to happen before a call: nothing, an error, or that it never returns. */
type Before = (call: DiskCall, path: string) => number | undefined | Promise<never>;

/**
 * A disk that asks `before` ahead of each call. A number is how many bytes of a write still reach
 * the disk before it fails with ENOSPC.
 */
export function brokenDisk(before: Before, disk: Disk = nodeDisk): Disk {
  const ask = async (call: DiskCall, path: string): Promise<number | undefined> =>
    before(call, path);
  const fileOf = (file: DiskFile, path: string): DiskFile => ({
    async write(bytes) {
      const reaches = await ask("write", path);
      if (reaches === undefined) return file.write(bytes);
      await file.write(bytes.subarray(0, reaches));
      throw noSpace();
    },
    async sync() {
      await ask("sync", path);
      await file.sync();
    },
    async truncate(length) {
      await ask("truncate", path);
      await file.truncate(length);
    },
    async close() {
      await ask("close", path);
      await file.close();
    },
  });
  return {
    async create(path) {
      await ask("create", path);
      return fileOf(await disk.create(path), path);
    },
    async syncFile(path) {
      await ask("syncFile", path);
      await disk.syncFile(path);
    },
    async syncFolder(path) {
      await ask("syncFolder", path);
      await disk.syncFolder(path);
    },
    async rename(from, to) {
      await ask("rename", from);
      await disk.rename(from, to);
    },
    async remove(path) {
      await ask("remove", path);
      await disk.remove(path);
    },
    async makeFolder(path) {
      await ask("makeFolder", path);
      await disk.makeFolder(path);
    },
  };
}

export function noSpace(): Error {
  return Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
}

export function ioError(): Error {
  return Object.assign(new Error("input/output error"), { code: "EIO" });
}

/** A disk on which a program stops at some call, and that may then lose what was not durable. */
export interface FragileDisk {
  readonly disk: Disk;
  /** Resolves when the last call was made. */
  readonly stopped: Promise<void>;
  calls(): number;
  /** Waits for what was under way, as the kernel does for a process that was killed. */
  settle(): Promise<void>;
  /**
   * Takes what a loss of power may take.
   *
   * @param chance a number from 0 to 1, for each decision
   */
  losePower(chance: () => number): void;
}

/** @param callsMax after so many calls none returns any more */
export function fragileDisk(callsMax: number): FragileDisk {
  const stopped = Promise.withResolvers<void>();
  const pages = volatileDisk();
  let calls = 0;
  const disk = brokenDisk(() => {
    if (calls < callsMax) {
      calls++;
      return undefined;
    }
    stopped.resolve();
    return new Promise<never>(() => {});
  }, pages.disk);
  const { settle, losePower } = pages;
  return { disk, stopped: stopped.promise, calls: () => calls, settle, losePower };
}

/** Remembers what is durable, and what a loss of power may undo. */
function volatileDisk(): Pick<FragileDisk, "disk" | "settle" | "losePower"> {
  const durable = new Map<string, number>();
  const undo: (() => void)[] = [];
  const open = new Set<DiskFile>();
  const underWay = new Set<Promise<unknown>>();
  const track = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  const fileOf = (path: string, file: DiskFile): DiskFile => ({
    write: (bytes) => track(file.write(bytes)),
    async sync() {
      const length = sizeOf(path);
      await track(file.sync());
      durable.set(path, length);
    },
    truncate: (length) => track(file.truncate(length)),
    close() {
      open.delete(file);
      return track(file.close());
    },
  });
  const disk: Disk = {
    ...nodeDisk,
    async create(path) {
      const file = await track(nodeDisk.create(path));
      open.add(file);
      durable.set(path, 0);
      undo.push(() => rmSync(path, { force: true }));
      return fileOf(path, file);
    },
    async syncFolder(path) {
      await track(nodeDisk.syncFolder(path));
      undo.length = 0;
    },
    async rename(from, to) {
      const former = existsSync(to) ? readFileSync(to) : undefined;
      await track(nodeDisk.rename(from, to));
      durable.set(to, durable.get(from) ?? sizeOf(to));
      durable.delete(from);
      undo.push(() => {
        if (former === undefined) rmSync(to, { force: true });
        else writeFileSync(to, former);
      });
    },
  };
  return {
    disk,
    async settle() {
      await Promise.allSettled(underWay);
      for (const file of open) await file.close();
    },
    losePower(chance) {
      for (const [path, kept] of durable) {
        const length = sizeOf(path);
        if (length <= kept) continue;
        truncateSync(path, kept + Math.floor(chance() * (length - kept + 1)));
        // Blocks that were reserved and not written read as zeros.
        if (chance() < 0.3) truncateSync(path, length);
      }
      // Names go in the order in which they were made: the last first.
      for (let left = Math.floor(chance() * (undo.length + 1)); left > 0; left--) undo.pop()?.();
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Pseudo-random numbers from 0 to 1, the same for the same seed. */
export function chances(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
