/**
 * What a controller's look at a whole cloud costs: the first one, which writes every record, and
 * one that finds ten changes; and the most memory that it ever has, also when it is told to trust
 * nothing that it remembers (SIGHUP).
 *
 * The cloud is a process of its own. Time on the clock has the cloud's share in it, CPU time has not.
 */

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bench, INSTANCES } from "../bench.ts";
import { looked, type Status, startCloud } from "../cloud/start.ts";
import { program } from "../peers/frontdesk.ts";
import { launch, pinned, SERVER_CPU } from "../process.ts";
import { median, worst } from "../stats.ts";

/** What an instance has in the middle, and what takes most memory of what is usual. Bytes. */
const USER_DATA_BYTES = 1024;
const LARGE_USER_DATA_BYTES = 4096;
const CHANGES = 10;
const LOOKS_AGAIN = 4;
/** Between two looks: so short that nobody waits long, and longer than one takes. s. */
const POLL_SECONDS = 3;
const KIB_PER_MIB = 1024;

export interface ReconcileFigures {
  readonly first: { readonly ms: number; readonly cpuMs: number };
  readonly again: { readonly ms: number; readonly cpuMs: number };
  /** Of a look that found ten changes, the most: must be ten. */
  readonly written: number;
  /** The most that the controller ever had, resident. */
  readonly rssMiB: number;
  /** The same with 4 KiB of user data. */
  readonly largeRssMiB: number;
  readonly instances: number;
}

type Looks = Omit<ReconcileFigures, "largeRssMiB" | "instances">;

export async function measureReconcile(bench: Bench): Promise<ReconcileFigures> {
  const rounds: Looks[] = [];
  const large: number[] = [];
  for (let round = 1; round <= bench.scale.rounds; round++) {
    bench.say(`reconcile: round ${round} of ${bench.scale.rounds}`);
    rounds.push(await measureLooks(bench, USER_DATA_BYTES));
    large.push((await measureLooks(bench, LARGE_USER_DATA_BYTES)).rssMiB);
  }
  const middle = (pick: (one: Looks) => number): number => median(rounds.map(pick)) ?? Number.NaN;
  return {
    first: { ms: middle(({ first }) => first.ms), cpuMs: middle(({ first }) => first.cpuMs) },
    again: { ms: middle(({ again }) => again.ms), cpuMs: middle(({ again }) => again.cpuMs) },
    written: worst(rounds.map(({ written }) => written)) ?? Number.NaN,
    rssMiB: worst(rounds.map(({ rssMiB }) => rssMiB)) ?? Number.NaN,
    largeRssMiB: worst(large) ?? Number.NaN,
    instances: INSTANCES,
  };
}

async function measureLooks(bench: Bench, bytes: number): Promise<Looks> {
  const home = join(bench.directory, "reconcile");
  mkdirSync(home, { mode: 0o700 });
  const socket = join(home, "admin.sock");
  try {
    using cloud = await startCloud({ home, instances: INSTANCES, bytes });
    const argv = [
      ...["env", "BUN_JSC_useFTLJIT=0", ...program("bun", bench.site), "controller"],
      ...[...cloud.argv, "--state-dir", join(home, "state")],
      ...["--admin-listen", `unix:${socket}`, "--poll-seconds", String(POLL_SECONDS)],
    ];
    await using running = launch(pinned(SERVER_CPU, argv), join(home, "log"));
    const ended = (): string | undefined =>
      running.alive() ? undefined : `the controller has ended:\n${readFileSync(join(home, "log"))}`;
    const next = async (looks: number): Promise<Status & { readonly cpuMs: number }> => ({
      ...(await looked(socket, looks, ended)),
      cpuMs: running.cpuUs() / 1000,
    });
    const first = await next(1);
    const again: (Looks["again"] & { readonly written: number })[] = [];
    let last = first;
    for (let look = 0; look < LOOKS_AGAIN; look++) {
      await cloud.rename(CHANGES);
      const now = await next(last.looks + 1);
      const written = now.written - last.written;
      again.push({ ms: now.lastMs, cpuMs: now.cpuMs - last.cpuMs, written });
      last = now;
    }
    process.kill(running.pid, "SIGHUP");
    await next(last.looks + 2); // Its own, and one beside what it has left.
    const status = readFileSync(`/proc/${running.pid}/status`, "utf8");
    const middle = (pick: (one: (typeof again)[number]) => number): number =>
      median(again.map(pick)) ?? Number.NaN;
    return {
      first: { ms: first.lastMs, cpuMs: first.cpuMs },
      again: { ms: middle(({ ms }) => ms), cpuMs: middle(({ cpuMs }) => cpuMs) },
      written: worst(again.map(({ written }) => written)) ?? Number.NaN,
      rssMiB: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / KIB_PER_MIB,
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
