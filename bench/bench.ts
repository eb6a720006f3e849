/**
 * What every measurement is given: where things lie, how large a run is, and how a server is
 * started. A server counts as started when the first guest gets its own address from it.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { addressOf, type Guest, LARGE_GUESTS, makeGuests, writeDatabags } from "./lab.ts";
import { type compile, startProbe } from "./load/load.ts";
import type { Peer, Place, Site } from "./peers/peer.ts";
import { writeTree } from "./peers/www.ts";
import { launch, pinned, type Running, SERVER_CPU } from "./process.ts";

/** How much of everything. The figures are CPU time divided by requests, so rates do not matter. */
export interface Scale {
  readonly rounds: number;
  /** Requests before anything is measured: just-in-time compilers need them. */
  readonly warmUp: number;
  readonly perConnection: number;
  readonly keptAlive: number;
  readonly large: number;
  readonly crowd: number;
  /** Changes for each size and round. */
  readonly databagChanges: number;
  readonly applyChanges: number;
  /** Both rims are asked about changes; otherwise Bun alone. */
  readonly changesOnBothRims: boolean;
  /** Web servers get the files of every guest, not only of those that ask. */
  readonly wholeTree: boolean;
  /** Sizes at which the way of the virtual router is tried, and how often in all. */
  readonly rewrites: readonly (readonly [instances: number, changes: number])[];
}

export const FULL: Scale = {
  rounds: 5,
  warmUp: 10_000,
  perConnection: 40_000,
  keptAlive: 100_000,
  large: 20_000,
  crowd: 20_000,
  databagChanges: 3,
  applyChanges: 20,
  changesOnBothRims: true,
  wholeTree: true,
  rewrites: [
    [10, 5],
    [2_000, 3],
    [10_000, 1],
  ],
};

export const QUICK: Scale = {
  rounds: 2,
  warmUp: 5_000,
  perConnection: 10_000,
  keptAlive: 20_000,
  large: 5_000,
  crowd: 8_000,
  databagChanges: 3,
  applyChanges: 10,
  changesOnBothRims: false,
  wholeTree: false,
  rewrites: [
    [10, 3],
    [2_000, 1],
  ],
};

/** Instances in the directory of every server; those that are asked, in turns. */
export const INSTANCES = 10_000;
export const ASKING = 1_000;

/** Loopback ports of this benchmark: 18700 to 18799. A server may use the one above its own too. */
const PORT_FIRST = 18_700;
const PORTS = 98;
const START_MS_MAX = 120_000;
/** A server is at rest when it needs no more CPU time than this in a second; waited for so long. */
const REST_US_PER_SECOND = 20_000;
const SETTLE_SECONDS_MAX = 30;
/** Of a server's log, in the message that it does not answer. */
const LOG_LINES = 8;
/** Fine enough for a start of tens of milliseconds; asking more often would slow it down. */
const START_POLL_US = 1000;

export interface Bench {
  /** Removed at the end of the run. */
  readonly directory: string;
  readonly scale: Scale;
  readonly tools: ReturnType<typeof compile>;
  readonly site: Site;
  /** Files for the load generator: who asks, and what. */
  readonly files: Readonly<Record<"asking" | "paths" | "fixed" | "largeAsking", string>>;
  /** Progress, for people who wait. */
  say(text: string): void;
  /** Something that could not be measured, and why; it is said and printed above the tables. */
  skip(reason: string): void;
}

export interface Served extends AsyncDisposable {
  readonly peer: Peer;
  readonly running: Running;
  readonly place: Place;
  readonly port: number;
  /** From the start of the process to the first right answer. */
  readonly startMs: number;
}

let portsUsed = 0;

/** Every start gets a port of its own: connections of the last server may still be closing. */
function nextPort(): number {
  const port = PORT_FIRST + portsUsed;
  portsUsed = (portsUsed + 2) % PORTS;
  return port;
}

/** Starts a server and waits for its first right answer. */
export async function serve(
  bench: Bench,
  peer: Peer,
  options: { directory: string; site?: Site },
): Promise<Served> {
  const directory = join(bench.directory, options.directory);
  mkdirSync(directory, { recursive: true });
  const place: Place = { directory, site: options.site ?? bench.site, port: nextPort() };
  const log = join(directory, "output.log");
  const command = peer.command(place);
  prepareFiles(command, place.site);
  const argv = pinned(SERVER_CPU, command);
  const probe = startProbe(bench.tools.probe, {
    port: place.port,
    source: addressOf(0),
    path: peer.fixed ? "/" : "/latest/meta-data/local-ipv4",
    intervalUs: START_POLL_US,
    until: peer.fixed ? "x".repeat(36) : addressOf(0),
    limitMs: START_MS_MAX,
  });
  await sleep(100); // Until the probe asks, so that its own start is not counted.
  const running = launch(argv, log);
  const ended = (async () => {
    while (running.alive()) await sleep(50, undefined, { ref: false });
    throw new Error(`${peer.title} ended before it answered:\n${tail(log)}`);
  })();
  ended.catch(() => {}); // It ends some time, also when all is well.
  try {
    const { seenMs } = await Promise.race([probe.result, ended]);
    if (seenMs === 0) throw new Error(`${peer.title} does not answer:\n${tail(log)}`);
    const startMs = seenMs - running.startedMs;
    const served = { peer, running, place, port: place.port, startMs };
    return { ...served, [Symbol.asyncDispose]: () => running.stop() };
  } catch (error) {
    void probe.finish();
    await running.stop();
    throw error;
  }
}

/**
 * A start is to wait for no disk. What this benchmark has written is put there first: files of ten
 * thousand guests for each server that reads files. What the start reads is read first: some
 * machines drop from memory what nobody has read for a minute.
 */
function prepareFiles(command: readonly string[], { databags }: Site): void {
  spawnSync("sync");
  const bags = databags === "" ? [] : readdirSync(databags);
  for (const path of [...command, ...bags.map((name) => join(databags, name))]) {
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) readFileSync(path);
  }
}

/** Waits until a server that has just started has come to rest. */
export async function settle({ running }: Served): Promise<void> {
  for (let seconds = 0; seconds < SETTLE_SECONDS_MAX; seconds++) {
    const before = running.cpuUs();
    await sleep(1000);
    if (running.cpuUs() - before <= REST_US_PER_SECOND) return;
  }
}

/** The end of what a server has said, and its last access line: thousands look like that one. */
function tail(log: string): string {
  const lines = readFileSync(log, "utf8").trim().split("\n");
  const isAccess = (line: string): boolean => line.includes('"msg":"request"');
  const last = lines.findLast(isAccess);
  const others = lines.filter((line) => !isAccess(line)).slice(-LOG_LINES);
  return [...others, ...(last === undefined ? [] : [last])].join("\n");
}

/** Makes a site of `count` guests: their databags, and the paths at which other things may lie. */
export function makeSite(
  directory: string,
  count: number,
  options: { large: boolean; programs: Site["programs"] },
): Site {
  const guests = makeGuests(count, options.large);
  const site: Site = {
    guests,
    databags: join(directory, `databags-${count}`),
    tree: join(directory, `www-${count}`),
    programs: options.programs,
  };
  writeDatabags(site.databags, guests);
  return site;
}

/** The files of the guests that ask, or of all. */
export function writeSiteTree({ guests, tree }: Site, whole: boolean): void {
  const asking = [...guests.slice(0, ASKING), ...guests.slice(-LARGE_GUESTS)];
  writeTree(tree, whole ? guests : asking);
}

/** Writes the load generator's lists. What a boot asks for: the listing, every key, user data. */
export function writeLists(directory: string, guests: readonly Guest[]): Bench["files"] {
  const write = (name: string, lines: readonly string[]): string => {
    const path = join(directory, name);
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
    return path;
  };
  const addresses = guests.map(({ address }) => address);
  const paths = bootPaths(guests[0]);
  return {
    asking: write("asking", addresses.slice(0, ASKING)),
    largeAsking: write("large-asking", addresses.slice(-LARGE_GUESTS)),
    paths: write("paths", paths),
    // As many lines, because a storm asks each line once.
    fixed: write("fixed", Array(paths.length).fill("/latest/meta-data/instance-id\t-\t")),
  };
}

/** Values that every guest has, or that follow from its address, are compared; others measured. */
function bootPaths(guest: Guest | undefined): string[] {
  if (guest === undefined) return [];
  const names = guest.keys.map(([name]) => `${name}\n`).join("");
  const keys = guest.keys.map(([name, value]) => {
    const path = `/latest/meta-data/${name}`;
    if (value === guest.address) return `${path}\t=\t{ip}`;
    if (name === "instance-id" || name === "vm-id") return `${path}\t#\t${value.length}`;
    if (/^(service|availability|cloud)-/.test(name)) return `${path}\t=\t${value}`;
    return `${path}\t^\t${value.slice(0, 4)}`;
  });
  return [
    `/latest/meta-data/\t#\t${names.length}`,
    ...keys,
    `/latest/user-data\t#\t${guest.userData.length}`,
  ];
}
