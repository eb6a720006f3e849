/**
 * A memory limit for one program, as a container or a small machine gives it: a control group
 * below our own, removed when the test ends.
 */

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { onEnd, uniqueName } from "./leftovers.ts";

const ROOT = "/sys/fs/cgroup";

export interface MemoryGroup {
  /** The command line that runs `argv` within the limit. */
  command(argv: readonly string[]): readonly string[];
}

/** @returns `undefined` where no group can be made: not root, or a system that keeps them. */
export function makeMemoryGroup(bytesMax: number): MemoryGroup | undefined {
  for (const { folder, limit } of places()) {
    const path = join(folder, uniqueName("memory"));
    try {
      mkdirSync(path);
    } catch {
      continue;
    }
    onEnd(() => removeSoon(path));
    try {
      writeFileSync(join(path, limit), String(bytesMax), { flag: "r+" });
      const enter = 'echo $$ > "$0" && exec "$@"';
      return { command: (argv) => ["sh", "-c", enter, join(path, "cgroup.procs"), ...argv] };
    } catch {} // No memory controller here.
  }
  return undefined;
}

/** Why tests of a memory limit cannot run here, for `test.skipIf`. */
export function memoryGroupMissing(): string | undefined {
  const path = places().find(({ folder }) => canMakeIn(folder));
  if (path !== undefined) return undefined;
  const reason = "a memory control group needs root and a writable /sys/fs/cgroup";
  console.warn(`skipped: ${reason}`);
  return reason;
}

/** Version 1 has a tree for memory; in version 2 a group with programs has no groups below it. */
function places(): readonly { folder: string; limit: string }[] {
  let lines: readonly string[] = [];
  try {
    lines = readFileSync("/proc/self/cgroup", "utf8").split("\n");
  } catch {} // No Linux.
  return lines.flatMap((line) => {
    const [, controllers = "", path = "/"] = line.split(":");
    if (controllers === "memory") {
      return [{ folder: join(ROOT, "memory", path), limit: "memory.limit_in_bytes" }];
    }
    return controllers === "" ? [{ folder: join(ROOT, dirname(path)), limit: "memory.max" }] : [];
  });
}

function canMakeIn(folder: string): boolean {
  const path = join(folder, uniqueName("probe"));
  try {
    mkdirSync(path);
  } catch {
    return false;
  }
  try {
    return places().some(({ limit }) => exists(join(path, limit)));
  } finally {
    rmdirSync(path);
  }
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Its programs have been told to end, and may take a moment. */
function removeSoon(path: string, left = 50): void {
  try {
    rmdirSync(path);
  } catch {
    if (left === 0) return;
    Bun.sleepSync(20);
    removeSoon(path, left - 1);
  }
}
