/**
 * Programs that a measurement starts: pinned to a CPU, measured as a process tree, and ended
 * whatever happens. Nothing is ended by name; every group was started here.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { processors, which } from "./machine.ts";

/** The server has a processor of its own, where there are two; everything else is on the other. */
export const SERVER_CPU: number = processors() > 1 ? 1 : 0;
export const LOAD_CPU = 0;

/** How long a server may take to end by itself. */
const STOP_MS_MAX = 5000;
/** The kernel counts CPU time for /proc in ticks of 10 ms (USER_HZ, fixed on Linux). */
const TICK_US = 10_000;
const KIB_PER_MIB = 1024;

export interface Memory {
  /** Resident pages, shared ones counted in every process. */
  readonly rssMiB: number;
  /** Resident pages, shared ones divided by the processes that share them. */
  readonly pssMiB: number;
}

export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** Wall clock, see `wallMs`, just before the program was started. */
  readonly startedMs: number;
  /** User and system time of the tree since its start, children that have ended included. */
  cpuUs(): number;
  memory(): Memory;
  /** Whether it runs still. */
  alive(): boolean;
  stop(): Promise<void>;
}

const groups = new Set<number>();

/** The wall clock with microseconds, comparable with that of other processes. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** `argv`, bound to one CPU where taskset is installed. */
export function pinned(cpu: number, argv: readonly string[]): string[] {
  return which("taskset") === undefined ? [...argv] : ["taskset", "-c", String(cpu), ...argv];
}

/** `argv`, which runs only while nobody else wants its CPU, where chrt is installed. */
export function idly(argv: readonly string[]): string[] {
  return which("chrt") === undefined ? ["nice", "-n", "19", ...argv] : ["chrt", "-i", "0", ...argv];
}

/**
 * `argv`, which runs before everybody else on its CPU, where that is permitted: for what measures
 * and needs little, so that it does not measure its own waits.
 */
export function urgently(argv: readonly string[]): string[] {
  const isPermitted = process.getuid?.() === 0 && which("chrt") !== undefined;
  return isPermitted ? ["chrt", "-f", "1", ...argv] : [...argv];
}

/**
 * Gives a program's session more of a CPU than others', where that is permitted. Within the
 * session nothing changes, as between a router and its controller.
 */
export function prefer({ pid }: Pick<Running, "pid">): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, "-20");
  } catch {
    // Sessions are not weighed here, or only root may.
  }
}

/** Moves this process, and so all that it starts, to the load's CPU. */
export function pinSelf(): void {
  if (which("taskset") === undefined) return;
  spawnSync("taskset", ["-pc", String(LOAD_CPU), String(process.pid)]);
}

/** Starts a program in a process group of its own; what it prints goes to the file `log`. */
export function launch(argv: readonly string[], log: string, cwd?: string): Running {
  const [program = "", ...args] = argv;
  const output = openSync(log, "a");
  const startedMs = wallMs();
  const child = spawn(program, args, {
    stdio: ["ignore", output, output],
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  closeSync(output);
  const pid = register(child);
  const alive = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = async (): Promise<void> => {
    if (alive()) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(STOP_MS_MAX, undefined, { ref: false })]);
    }
    endGroup(pid);
  };
  return {
    pid,
    startedMs,
    cpuUs: () => treeCpuUs(pid),
    memory: () => treeMemory(pid),
    alive,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Remembers a child that leads a group, so that `endAll` reaches it. */
export function register(child: ChildProcess): number {
  child.on("error", () => {}); // Reported by who waits for its first answer.
  const pid = child.pid ?? 0;
  if (pid > 0) groups.add(pid);
  return pid;
}

/** Ends what is left of a group that was started here. */
export function endGroup(pid: number): void {
  if (!groups.delete(pid)) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

export function endAll(): void {
  for (const pid of [...groups]) endGroup(pid);
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  readonly own: number;
}

/** Fields after the command's name, which may hold blanks and parentheses: proc(5). */
function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  // utime, stime, and cutime, cstime: children that have ended count in their parent's.
  const own = field(14) + field(15);
  return { pid, parent: field(4), ticks: own + field(16) + field(17), own };
}

function tree(root: number): Stat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
  const members = all.filter((stat) => stat.pid === root);
  for (const member of members) members.push(...all.filter((stat) => stat.parent === member.pid));
  return members;
}

/** User and system time of one process, without those that it has started. */
export function ownCpuUs(pid: number): number {
  return (readStat(pid)?.own ?? 0) * TICK_US;
}

/** Processes that this one has started and that run still. */
export function childrenOf(pid: number): number[] {
  return tree(pid).flatMap((stat) => (stat.parent === pid ? [stat.pid] : []));
}

function treeCpuUs(root: number): number {
  return tree(root).reduce((sum, stat) => sum + stat.ticks, 0) * TICK_US;
}

function treeMemory(root: number): Memory {
  let rssKiB = 0;
  let pssKiB = 0;
  for (const { pid } of tree(root)) {
    let text = "";
    try {
      text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    } catch {
      continue; // It has ended meanwhile.
    }
    rssKiB += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
    pssKiB += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return { rssMiB: rssKiB / KIB_PER_MIB, pssMiB: pssKiB / KIB_PER_MIB };
}
