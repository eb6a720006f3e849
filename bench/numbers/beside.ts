/**
 * How long guests wait while the controller beside their router reads a cloud: `frontdesk serve`
 * with 10,000 instances, asked steadily by guests who do not wait for each other.
 *
 * Windows alternate: one without a look, and one that is as long as a look. Three kinds of looks:
 * one that asks the store about every record and finds ten changes, one that finds every instance
 * changed, and the first one of a controller whose store is gone. A C responder in the same session on the same CPU
 * is asked at the same time: what happens to its guests is the machine's and the scheduler's doing.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, INSTANCES, type Served, serve, settle } from "../bench.ts";
import { type CloudServer, looked, startCloud } from "../cloud/start.ts";
import { makeGuest } from "../lab.ts";
import { errorsOf, type LoadResult, startLoad } from "../load/load.ts";
import { program } from "../peers/frontdesk.ts";
import type { Peer } from "../peers/peer.ts";
import { childrenOf, ownCpuUs, prefer } from "../process.ts";
import { median } from "../stats.ts";

/** User data of an instance in the middle. Bytes. */
const USER_DATA_BYTES = 1024;
/** Guests a second: ten thousand instances that each ask twice a minute. */
const GUESTS_PER_SECOND = 300;
/** At the C responder: enough for a percentile, and little beside the router. */
const LIMIT_PER_SECOND = 100;
const UNDER_WAY_MAX = 256;
/** A window without a look, before any look of its kind. ms. */
const QUIET_MS = 3000;
/** Beyond those that servers are given. */
const API_PORT = 18_799;
const LIMIT_PORT = 18_798;
/** Looks come when they are called: in seconds, the longest that may be set. */
const POLL_SECONDS = 86_400;

const CHANGES = 10;

/** How often each kind is tried in a round. */
const KINDS = [
  { name: "ten changes", times: 3 },
  { name: "every record new", times: 2 },
  { name: "the first, into a new store", times: 1 },
] as const;
type KindName = (typeof KINDS)[number]["name"];

/** One window beside the quiet one before it. */
interface Pair {
  readonly quiet: Window;
  readonly look: Window;
  readonly lookMs: number;
}

interface Window {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly limitP99Ms: number;
  readonly errors: number;
  readonly routerMs: number;
  readonly controllerMs: number;
}

export interface BesideFigures {
  readonly perSecond: number;
  readonly instances: number;
  readonly kinds: readonly BesideKind[];
}

export interface BesideKind {
  readonly name: KindName;
  readonly windows: number;
  /** Medians of the windows; the ratio is that of these medians. */
  readonly quiet: Window;
  readonly look: Window;
  readonly ratio: number;
  /** The same at the C responder. */
  readonly limit: number;
  readonly lookMs: number;
  readonly errors: number;
}

export async function measureBeside(bench: Bench): Promise<BesideFigures> {
  const pairs = new Map<KindName, Pair[]>(KINDS.map(({ name }) => [name, []]));
  for (let round = 1; round <= bench.scale.rounds; round++) {
    bench.say(`guests beside a controller: round ${round} of ${bench.scale.rounds}`);
    for (const [name, pair] of await measureRound(bench, round)) pairs.get(name)?.push(pair);
  }
  const kinds = KINDS.map(({ name }) => summed(name, pairs.get(name) ?? []));
  return { perSecond: GUESTS_PER_SECOND, instances: INSTANCES, kinds };
}

function summed(name: KindName, pairs: readonly Pair[]): BesideKind {
  const quiet = middleOf(pairs.map((pair) => pair.quiet));
  const look = middleOf(pairs.map((pair) => pair.look));
  return {
    ...{ name, quiet, look, windows: pairs.length },
    ratio: look.p99Ms / quiet.p99Ms,
    limit: look.limitP99Ms / quiet.limitP99Ms,
    lookMs: median(pairs.map(({ lookMs }) => lookMs)) ?? Number.NaN,
    errors: pairs.reduce((sum, pair) => sum + pair.quiet.errors + pair.look.errors, 0),
  };
}

function middleOf(windows: readonly Window[]): Window {
  const middle = (name: keyof Window): number =>
    median(windows.map((window) => window[name])) ?? Number.NaN;
  return {
    ...{ p50Ms: middle("p50Ms"), p99Ms: middle("p99Ms"), maxMs: middle("maxMs") },
    ...{ limitP99Ms: middle("limitP99Ms"), errors: middle("errors") },
    ...{ routerMs: middle("routerMs"), controllerMs: middle("controllerMs") },
  };
}

/** What is asked while a round lasts. */
interface Desk {
  readonly served: Served;
  readonly cloud: CloudServer;
  readonly paths: string;
  /** The controller's. */
  readonly socket: string;
  readonly store: string;
}

async function measureRound(bench: Bench, round: number): Promise<[KindName, Pair][]> {
  const home = join(bench.directory, `beside-${round}`);
  const state = join(home, "state");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  try {
    using cloud = await startCloud({ home, instances: INSTANCES, bytes: USER_DATA_BYTES });
    await using served = await serve(bench, deskOf(cloud, state), { directory: `beside-${round}` });
    prefer(served.running);
    const socket = join(state, "run", "controller.sock");
    const desk: Desk = {
      ...{ served, cloud, socket, store: join(state, "store.sqlite") },
      paths: writePaths(home),
    };
    await looked(socket, 1, () => ended(desk));
    const pairs: [KindName, Pair][] = [];
    for (const { name, times } of KINDS) {
      let quietMs = QUIET_MS;
      for (let time = 0; time < times; time++) {
        await settle(served);
        const quiet = await measureWindow(bench, desk, () => sleep(quietMs));
        const begun = performance.now();
        const look = await measureWindow(bench, desk, () => lookNow(desk, name));
        quietMs = performance.now() - begun;
        pairs.push([name, { quiet, look, lookMs: quietMs }]);
        bench.say(`  ${name}: p99 ${quiet.p99Ms} ms quiet, ${look.p99Ms} ms beside a look`);
      }
    }
    return pairs;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Router and controller on one machine, as operators run them, and the C responder. */
function deskOf(cloud: CloudServer, state: string): Peer {
  return {
    name: "serve",
    title: "frontdesk serve",
    missing: () => undefined,
    command: ({ site, port }) => [
      ...[
        "sh",
        "-c",
        '"$0" "$1" & shift; exec "$@"',
        site.programs.epoll ?? "",
        String(LIMIT_PORT),
      ],
      ...["env", "BUN_JSC_useFTLJIT=0", `FRONTDESK_POLL_SECONDS=${POLL_SECONDS}`],
      ...[...program("bun", site), "serve", ...cloud.argv, "--state-dir", state],
      ...["--listen", `127.0.0.1:${port}`, "--password-listen", `127.0.0.1:${port + 1}`],
      ...["--api-listen", `127.0.0.1:${API_PORT}`],
    ],
  };
}

function ended({ served }: Desk): string | undefined {
  if (served.running.alive()) return undefined;
  return `serve has ended:\n${readFileSync(join(served.place.directory, "output.log"))}`;
}

/** The controller's process; none while it is started again. */
function controllerOf({ served }: Desk): number | undefined {
  const isController = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("\0controller\0");
    } catch {
      return false; // It has ended meanwhile.
    }
  };
  return childrenOf(served.running.pid).find(isController);
}

/** Has the controller look at everything, and waits for it. */
async function lookNow(desk: Desk, kind: KindName): Promise<void> {
  const { served, cloud, socket, store } = desk;
  if (kind === "the first, into a new store") {
    const controller = controllerOf(desk);
    if (controller === undefined) throw new Error("serve has no controller");
    process.kill(controller, "SIGKILL");
    for (const end of ["", "-wal", "-shm"]) rmSync(`${store}${end}`, { force: true });
    rmSync(socket, { force: true });
    await looked(socket, 1, () => ended(desk));
    return;
  }
  const { looks } = await looked(socket, 1, () => ended(desk));
  await cloud.rename(kind === "ten changes" ? CHANGES : INSTANCES);
  process.kill(served.running.pid, "SIGHUP");
  await looked(socket, looks + 1, () => ended(desk));
}

async function measureWindow(
  bench: Bench,
  desk: Desk,
  work: () => Promise<unknown>,
): Promise<Window> {
  const { served, paths } = desk;
  const ask = (port: number, rate: number, lines: string) =>
    startLoad(bench.tools.load, [
      ...["--port", String(port), "--sources", bench.files.asking, "--paths", lines],
      ...["--style", "guest", "--connections", String(UNDER_WAY_MAX), "--rate", String(rate)],
    ]);
  const before = cpuOf(desk);
  const load = ask(served.port, GUESTS_PER_SECOND, paths);
  const limit = ask(LIMIT_PORT, LIMIT_PER_SECOND, bench.files.fixed);
  let results: LoadResult[] = [];
  try {
    await work();
  } finally {
    results = await Promise.all([load.finish(), limit.finish()]);
  }
  const [asked, limited] = results as [LoadResult, LoadResult];
  const after = cpuOf(desk);
  if (asked.errors > 0) bench.say(`  errors: ${errorsOf(asked)}`);
  const isSame = before.controller === after.controller;
  return {
    ...{ p50Ms: asked.ms.p50, p99Ms: asked.ms.p99, maxMs: asked.ms.max, errors: asked.errors },
    limitP99Ms: limited.ms.p99,
    routerMs: (after.routerUs - before.routerUs) / 1000,
    controllerMs: (after.controllerUs - (isSame ? before.controllerUs : 0)) / 1000,
  };
}

function cpuOf(desk: Desk) {
  const controller = controllerOf(desk);
  const controllerUs = controller === undefined ? 0 : ownCpuUs(controller);
  return { controller, controllerUs, routerUs: ownCpuUs(desk.served.running.pid) };
}

/** What a boot asks for, as far as it does not change when an instance is renamed. */
function writePaths(home: string): string {
  const path = join(home, "paths");
  const { keys } = makeGuest(0);
  const of = (name: string): string => keys.find(([key]) => key === name)?.[1] ?? "";
  const lines = [
    "/latest/meta-data/\t-\t",
    "/latest/meta-data/local-ipv4\t=\t{ip}",
    `/latest/meta-data/service-offering\t=\t${of("service-offering")}`,
    `/latest/meta-data/instance-id\t#\t${of("instance-id").length}`,
    "/latest/meta-data/local-hostname\t-\t",
    `/latest/user-data\t#\t${USER_DATA_BYTES}`,
  ];
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}
