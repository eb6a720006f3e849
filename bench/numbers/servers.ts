/**
 * All figures of the servers, round after round. In each round all of them are started, asked in
 * turns, hit by the storms one after the other, weighed, stopped, and started again.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, type Served, serve, settle } from "../bench.ts";
import type { Peer } from "../peers/peer.ts";
import type { Memory } from "../process.ts";
import type { Round, ServerResult } from "../report.ts";
import { measureRequests } from "./requests.ts";
import { measureStorm } from "./storm.ts";

export async function measureServers(
  bench: Bench,
  peers: readonly Peer[],
): Promise<ServerResult[]> {
  const results = peers.map((peer) => ({ peer, rounds: [] as Round[] }));
  for (let round = 1; round <= bench.scale.rounds; round++) {
    const measured = await measureRound(bench, peers, round);
    for (const { peer, rounds } of results) rounds.push(...(measured.get(peer) ?? []));
  }
  return results.map(({ peer, rounds }) => ({ name: peer.name, title: peer.title, rounds }));
}

/** After the last storm a server gets so long to clear up before it is weighed. ms. */
const REST_MS = 5000;

interface Started {
  readonly served: Served;
  readonly idle: Memory;
}

async function measureRound(
  bench: Bench,
  peers: readonly Peer[],
  round: number,
): Promise<Map<Peer, readonly Round[]>> {
  const say = (text: string): void => bench.say(`round ${round} of ${bench.scale.rounds}: ${text}`);
  const started: Started[] = [];
  const rounds = new Map<Peer, readonly Round[]>();
  try {
    for (const peer of peers) {
      say(`start ${peer.title}`);
      const one = await orSkip(bench, peer, () => start(bench, peer, round));
      if (one !== undefined) started.push(one);
    }
    say("requests");
    const requests = await measureRequests(
      bench,
      started.map(({ served }) => served),
    );
    for (const [index, { served, idle }] of started.entries()) {
      const { peer, startMs } = served;
      say(`storms, ${peer.title}`);
      const figures = requests[index];
      const measured = await orSkip(bench, peer, async () => ({
        ...{ startMs, idle, ...(figures && { requests: figures }) },
        ...(await measureRest(bench, served, round)),
      }));
      if (measured !== undefined) rounds.set(peer, [measured]);
    }
  } finally {
    await Promise.all(started.map(({ served }) => served.running.stop()));
  }
  return rounds;
}

const placeOf = (peer: Peer, round: number): string => `${peer.name}-${round}`;

async function start(bench: Bench, peer: Peer, round: number): Promise<Started> {
  const served = await serve(bench, peer, { directory: placeOf(peer, round) });
  await settle(served);
  return { served, idle: served.running.memory() };
}

async function measureRest(
  bench: Bench,
  served: Served,
  round: number,
): Promise<Pick<Round, "waves" | "atOnce" | "after" | "restartMs">> {
  const waves = await measureStorm(bench, served, "waves");
  const atOnce = await measureStorm(bench, served, "at once");
  await sleep(REST_MS);
  const after = served.running.memory();
  await served.running.stop();
  if (served.peer.stateful !== true) return { waves, atOnce, after };
  await using again = await serve(bench, served.peer, { directory: placeOf(served.peer, round) });
  return { waves, atOnce, after, restartMs: again.startMs };
}

/** The other figures of an hour's work are not lost with one that cannot be had. */
async function orSkip<T>(bench: Bench, peer: Peer, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    bench.skip(`${peer.title}: ${String(error)}`);
    return undefined;
  }
}
