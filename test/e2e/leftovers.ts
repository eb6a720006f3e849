/**
 * Names for what a test leaves on the machine, and its removal.
 *
 * Every network namespace and scratch folder carries the process id of the test run and the time
 * that process started. So it goes when its test ends, passed, failed or timed out; on SIGINT and
 * SIGTERM; and what a killed run left behind goes with the next run.
 */

import { onTestFinished } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "fdlab";
/** Where `ip netns` keeps its names. */
const NAMESPACES = "/run/netns";
/** A folder in memory that every Linux has. */
const MEMORY = "/dev/shm";
/** How long a killed program may take to leave its namespace. */
const LEAVE_MS_MAX = 3_000;

let count = 0;
const pending = new Set<() => void>();
let watched = false;

/** A name that no other test run has: `fdlab-PID-START-COUNT-role`. */
export function uniqueName(role: string): string {
  count += 1;
  return `${PREFIX}-${process.pid}-${startOf(process.pid)}-${count}-${role}`;
}

/**
 * Runs `clean` when the returned function is called, when the test that is under way ends, or when
 * the run is interrupted; whichever comes first, and once. `clean` does not wait for promises.
 */
export function onEnd(clean: () => void): () => void {
  const once = (): void => {
    if (pending.delete(once)) clean();
  };
  pending.add(once);
  watch();
  try {
    onTestFinished(once);
  } catch {
    // Outside of a test, in a hook: the caller and the signals remain.
  }
  return once;
}

/**
 * A scratch folder that goes with the test; in memory, where the machine has that, on request: for
 * a test that is not to depend on the speed of a disk.
 */
export function scratchFolder(
  role: string,
  place: "on disk" | "in memory" = "on disk",
): Disposable & { readonly path: string } {
  sweep();
  const parent = place === "in memory" && existsSync(MEMORY) ? MEMORY : tmpdir();
  const path = mkdtempSync(join(parent, `${uniqueName(role)}-`));
  const remove = onEnd(() => rmSync(path, { recursive: true, force: true }));
  return { path, [Symbol.dispose]: remove };
}

/** The same in a place that every user can reach: the usual one may be root's alone. */
export function openFolder(role: string): Disposable & { readonly path: string } {
  sweep();
  const path = mkdtempSync(join("/tmp", `${uniqueName(role)}-`));
  chmodSync(path, 0o755);
  const remove = onEnd(() => rmSync(path, { recursive: true, force: true }));
  return { path, [Symbol.dispose]: remove };
}

/** Removes a namespace and every program in it. A name that is not there is nothing to do. */
export function removeNamespace(name: string): void {
  if (!existsSync(join(NAMESPACES, name))) return;
  const deadline = Date.now() + LEAVE_MS_MAX;
  for (;;) {
    const pids = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout ?? "";
    const living = pids.split("\n").filter((pid) => pid !== "" && startOf(Number(pid)) !== "");
    if (living.length === 0 || Date.now() > deadline) break;
    for (const pid of living) kill(Number(pid));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  spawnSync("ip", ["netns", "delete", name]);
}

/** Removes what dead runs left behind. */
export function sweep(): void {
  for (const name of existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : []) {
    if (isLeftOver(name)) removeNamespace(name);
  }
  for (const parent of [tmpdir(), MEMORY].filter((path) => existsSync(path))) {
    for (const name of readdirSync(parent)) {
      if (isLeftOver(name)) rmSync(join(parent, name), { recursive: true, force: true });
    }
  }
}

function isLeftOver(name: string): boolean {
  const match = new RegExp(`^${PREFIX}-(\\d+)-([0-9a-z]+)-`).exec(name);
  return match !== null && startOf(Number(match[1])) !== match[2];
}

/** When a process started, as the kernel counts it; `""` for one that is gone or a zombie. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses; it may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : Number(fields[19]).toString(36);
  } catch {
    // Not Linux, or gone. A run there makes no namespaces; its own folders still need a name.
    return pid === process.pid ? "0" : "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone meanwhile.
  }
}

function watch(): void {
  if (watched) return;
  watched = true;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      for (const clean of [...pending].reverse()) clean();
      process.exit(code);
    });
  }
}
