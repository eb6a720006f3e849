/**
 * What discovery reads of this machine: files below a folder, names, and the metadata service.
 *
 * Everything goes through one object, so that a test shows fixture files instead of this machine.
 */

import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

/** A larger file is none. A lease file has some KiB, a long-lived dhclient's up to 1 MiB. Bytes. */
const FILE_BYTES_MAX = 4 << 20;
/** Files of one folder that are looked at. */
const NAMES_MAX = 256;

/** Look-ups under way: nothing can end one, and a process waits for it. */
let lookups = 0;

/** A program that is done does not stay for a resolver that is silent. */
export function endSoon(): void {
  // The timer holds nothing: it fires only when something else, a look-up, still does.
  if (lookups > 0) setTimeout(() => process.exit(), 10).unref();
}

export interface System {
  /** A file's content as bytes; `undefined` when it is not there or cannot be read. */
  read(path: string): Buffer | undefined;
  /** Names in a folder, sorted; empty when it is not there. */
  list(path: string): readonly string[];
  /** When a file was last written, ms; `undefined` when it is not there. */
  modifiedMs(path: string): number | undefined;
  /** Addresses of a name, IPv4 first; empty when it has none, or the signal is aborted first. */
  resolve(name: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** This machine, or what lies below `root`. */
export function openSystem(root = "/"): System {
  const quietly = <T>(look: () => T): T | undefined => {
    try {
      return look();
    } catch {
      return undefined; // Not there, or not ours to see: another way will have to do.
    }
  };
  return {
    read: (path) => quietly(() => readBounded(join(root, path))),
    list: (path) => quietly(() => readdirSync(join(root, path)).sort().slice(0, NAMES_MAX)) ?? [],
    modifiedMs: (path) => quietly(() => statSync(join(root, path)).mtimeMs),
    async resolve(name, signal) {
      const found = (await resolveByProgram(name, signal)) ?? (await resolveInProcess(name));
      const isSix = (address: string): number => (address.includes(":") ? 1 : 0);
      return [...new Set(found)].sort((a, b) => isSix(a) - isSix(b));
    },
  };
}

/**
 * As every client resolves, but in a process that can be ended: Node.js itself does not end before
 * the system's resolver has given up, which is half a minute where a name server is silent.
 * `undefined` where there is no such program.
 */
async function resolveByProgram(
  name: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  // Loaded when it is needed: the start of a program that asks one address is paid often.
  const { exec } = await import("../platform/exec.ts");
  try {
    // A line for each address and kind of socket; nothing, and 2, for a name that there is not.
    const { stdout } = await exec(["getent", "ahosts", name], { signal });
    return stdout.split("\n").flatMap((line) => /^[\da-f.:]+(?=\s)/i.exec(line) ?? []);
  } catch (error) {
    return (error as { code?: unknown }).code === "PROGRAM_MISSING" ? undefined : [];
  }
}

async function resolveInProcess(name: string): Promise<readonly string[]> {
  const { lookup } = await import("node:dns/promises");
  lookups++;
  const found = await lookup(name, { all: true })
    .catch(() => [])
    .finally(() => lookups--);
  return found.map(({ address }) => address);
}

function readBounded(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    // What the kernel makes (/proc) has no size: it is read until its end.
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(65_536);
      const got = readSync(file, chunk, 0, chunk.length, null);
      if (got === 0) break;
      chunks.push(chunk.subarray(0, got));
      bytes += got;
      if (bytes > FILE_BYTES_MAX) throw new Error("too large");
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(file);
  }
}
