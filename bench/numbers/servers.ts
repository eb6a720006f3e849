/** All figures of the servers: round after round, in each round one server after the other. */

import { type Bench, serve, settle } from "../bench.ts";
import type { Peer } from "../peers/peer.ts";
import type { Round, ServerResult } from "../report.ts";
import { measureRequests } from "./requests.ts";
import { measureStorm } from "./storm.ts";

export async function measureServers(
  bench: Bench,
  peers: readonly Peer[],
): Promise<ServerResult[]> {
  const results = peers.map((peer) => ({ peer, rounds: [] as Round[] }));
  for (let round = 1; round <= bench.scale.rounds; round++) {
    for (const { peer, rounds } of results) {
      bench.say(`round ${round} of ${bench.scale.rounds}: ${peer.title}`);
      try {
        rounds.push(await measureRound(bench, peer, round));
      } catch (error) {
        // The other figures of an hour's work are not lost with it.
        bench.skip(`${peer.title}, round ${round}: ${String(error)}`);
      }
    }
  }
  return results.map(({ peer, rounds }) => ({ name: peer.name, title: peer.title, rounds }));
}

async function measureRound(bench: Bench, peer: Peer, round: number): Promise<Round> {
  const directory = `${peer.name}-${round}`;
  const first = await measureServing(bench, peer, directory);
  if (peer.stateful !== true) return first;
  await using again = await serve(bench, peer, { directory });
  return { ...first, restartMs: again.startMs };
}

async function measureServing(bench: Bench, peer: Peer, directory: string): Promise<Round> {
  await using served = await serve(bench, peer, { directory });
  await settle(served);
  const idle = served.running.memory();
  const requests = await measureRequests(bench, served);
  const waves = await measureStorm(bench, served, "waves");
  const atOnce = await measureStorm(bench, served, "at once");
  const after = served.running.memory();
  return { startMs: served.startMs, idle, after, requests, waves, atOnce };
}
