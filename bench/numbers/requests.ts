/**
 * What one request costs the server: CPU time of its processes, divided by the requests that were
 * answered. Four ways of asking, and the time that a guest waits when 500 connections ask at once.
 *
 * All servers run, one is asked at a time, and they take turns in short slices: whatever else the
 * machine does in these seconds, it does to all of them.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Served } from "../bench.ts";
import { LARGE_BYTES } from "../lab.ts";
import { errorsOf, runLoad } from "../load/load.ts";
import { median } from "../stats.ts";

const CONNECTIONS = 64;
const CROWD_CONNECTIONS = 500;
const SLICES = 4;
/** Until the server has closed what the last slice left open. */
const SETTLE_MS = 150;

export interface RequestFigures {
  /** One connection for each request; it says `Connection: close`, and the server closes. */
  readonly closeUs: number;
  /** One connection for each request; the guest closes, as curl and cloud-init do. */
  readonly guestUs: number;
  /** Connections that are kept. */
  readonly keepUs: number;
  /** A body of 16 KiB, one connection for each request. */
  readonly largeUs: number;
  readonly crowdP50Ms: number;
  readonly crowdP99Ms: number;
  readonly errors: number;
}

interface Way {
  readonly style: "close" | "guest" | "keep";
  readonly connections: number;
  readonly requests: number;
  readonly large?: boolean;
}

/** What one server has needed for one way of asking. */
interface Tally {
  us: number;
  requests: number;
  errors: number;
  readonly p50Ms: number[];
  readonly p99Ms: number[];
}

/** The figures of each server, in the order given. */
export async function measureRequests(
  bench: Bench,
  servers: readonly Served[],
): Promise<RequestFigures[]> {
  const { scale } = bench;
  const way = (style: Way["style"], requests: number): Way => ({
    ...{ style, requests, connections: CONNECTIONS },
  });
  const take = (asked: Way): Promise<Tally[]> => takeTurns(bench, servers, asked);
  await take(way("close", scale.warmUp));
  await take(way("keep", scale.warmUp));
  const close = await take(way("close", scale.perConnection));
  const guest = await take(way("guest", scale.perConnection));
  const keep = await take(way("keep", scale.keptAlive));
  const large = await take({ ...way("close", scale.large), large: true });
  const crowd = await take({ ...way("close", scale.crowd), connections: CROWD_CONNECTIONS });
  const costUs = (tallies: Tally[], index: number): number => {
    const tally = tallies[index];
    return tally === undefined ? Number.NaN : tally.us / tally.requests;
  };
  return servers.map((_, index) => ({
    closeUs: costUs(close, index),
    guestUs: costUs(guest, index),
    keepUs: costUs(keep, index),
    largeUs: costUs(large, index),
    crowdP50Ms: median(crowd[index]?.p50Ms ?? []) ?? Number.NaN,
    crowdP99Ms: median(crowd[index]?.p99Ms ?? []) ?? Number.NaN,
    errors: [close, guest, keep, large, crowd].reduce(
      (sum, tallies) => sum + (tallies[index]?.errors ?? 0),
      0,
    ),
  }));
}

async function takeTurns(bench: Bench, servers: readonly Served[], way: Way): Promise<Tally[]> {
  const turns = servers.map((served) => ({
    served,
    tally: { us: 0, requests: 0, errors: 0, p50Ms: [], p99Ms: [] } satisfies Tally as Tally,
  }));
  for (let slice = 0; slice < SLICES; slice++) {
    for (const { served, tally } of turns) await takeTurn(bench, served, { way, tally });
  }
  return turns.map(({ tally }) => tally);
}

async function takeTurn(
  bench: Bench,
  served: Served,
  { way, tally }: { way: Way; tally: Tally },
): Promise<void> {
  const { files, tools } = bench;
  const paths = served.peer.fixed ? files.fixed : files.paths;
  const before = served.running.cpuUs();
  const result = await runLoad(tools.load, [
    ...["--port", String(served.port), "--style", way.style],
    ...["--sources", way.large ? files.largeAsking : files.asking],
    ...["--paths", way.large ? largePaths(bench, served) : paths],
    ...["--connections", String(way.connections)],
    ...["--requests", String(way.requests / SLICES)],
  ]);
  await sleep(SETTLE_MS);
  tally.us += served.running.cpuUs() - before;
  tally.requests += result.requests;
  tally.errors += result.errors;
  tally.p50Ms.push(result.ms.p50);
  tally.p99Ms.push(result.ms.p99);
  if (result.errors > 0) {
    bench.say(`  ${served.peer.title}, ${way.style}: errors: ${errorsOf(result)}`);
  }
}

function largePaths(bench: Bench, { peer }: Served): string {
  const path = join(bench.directory, `large-paths-${peer.name}`);
  writeFileSync(path, `${peer.largePath ?? "/latest/user-data"}\t#\t${LARGE_BYTES}\n`);
  return path;
}
