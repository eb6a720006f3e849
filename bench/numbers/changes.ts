/** All figures of changes: through the databag, through `apply`, and in the virtual router's way. */

import type { Bench } from "../bench.ts";
import { apache } from "../peers/apache.ts";
import type { Peer } from "../peers/peer.ts";
import type { ChangeResult } from "../report.ts";
import { scriptsMissing } from "../vr/script.ts";
import { measureApply } from "./apply.ts";
import { type ChangeFigures, measureDatabag, measureRewrite } from "./change.ts";
import { measureStore } from "./store.ts";

const DATABAG_SIZES = [10, 2_000, 10_000];
const APPLY_SIZES = [10, 2_000, 10_000, 100_000];
const STORE_SIZES = [10_000, 100_000];
export const CHANGE_SIZES: readonly number[] = APPLY_SIZES;

export async function measureChanges(
  bench: Bench,
  peers: readonly Peer[],
): Promise<ChangeResult[]> {
  const rims = peers.filter(({ name }) =>
    bench.scale.changesOnBothRims ? name === "bun" || name === "node" : name === "bun",
  );
  const noScripts = scriptsMissing();
  if (noScripts !== undefined) bench.skip(`changes of databags and of files: ${noScripts}`);
  const results: ChangeResult[] = [];
  for (const peer of rims) {
    if (noScripts === undefined) results.push(await databag(bench, peer));
    results.push(await apply(bench, peer));
  }
  if (noScripts === undefined && peers.includes(apache)) results.push(await rewrite(bench));
  return results;
}

/** The same for a router that follows a store; on Bun, because many a Node.js has no SQLite. */
export async function measureStores(bench: Bench, peers: readonly Peer[]): Promise<ChangeResult[]> {
  const results: ChangeResult[] = [];
  for (const peer of peers.filter(({ name }) => name === "bun")) {
    const title = `store, ${peer.title}`;
    const name = `store-${peer.name}`;
    const figures = await eachSize(bench, { title, sizes: STORE_SIZES }, (instances, round) =>
      measureStore(bench, { peer, instances, round }),
    );
    results.push({ name, title, figures });
  }
  return results;
}

async function databag(bench: Bench, peer: Peer): Promise<ChangeResult> {
  const title = `databag, ${peer.title}`;
  const name = `databag-${peer.name}`;
  const figures = await eachSize(bench, { title, sizes: DATABAG_SIZES }, (instances, round) =>
    measureDatabag(bench, { peer, instances, round }),
  );
  return { name, title, figures };
}

async function apply(bench: Bench, peer: Peer): Promise<ChangeResult> {
  const title = `apply, ${peer.title}`;
  const name = `apply-${peer.name}`;
  const figures = await eachSize(bench, { title, sizes: APPLY_SIZES }, (instances, round) =>
    measureApply(bench, { peer, instances, round }),
  );
  for (const { refused, refusal, instances } of figures) {
    if (refused > 0) bench.skip(`${title}, ${instances} instances: ${refused} refused: ${refusal}`);
  }
  return { name, title, figures };
}

async function eachSize<T extends ChangeFigures>(
  bench: Bench,
  { title, sizes }: { title: string; sizes: readonly number[] },
  measure: (instances: number, round: number) => Promise<T>,
): Promise<T[]> {
  const figures: T[] = [];
  for (let round = 1; round <= bench.scale.rounds; round++) {
    for (const instances of sizes) {
      bench.say(`round ${round} of ${bench.scale.rounds}: ${title}, ${instances} instances`);
      try {
        figures.push(await measure(instances, round));
      } catch (error) {
        // The other figures of an hour's work are not lost with it.
        bench.skip(`${title}, ${instances} instances, round ${round}: ${String(error)}`);
      }
    }
  }
  return figures;
}

/** Slow, and the same again and again: once for each size, with its own number of changes. */
async function rewrite(bench: Bench): Promise<ChangeResult> {
  const title = "every file again, Apache as on the virtual router";
  const figures: ChangeFigures[] = [];
  for (const [instances, changes] of bench.scale.rewrites) {
    bench.say(`${title}, ${instances} instances`);
    figures.push(await measureRewrite(bench, { instances, changes }));
  }
  return { name: "rewrite", title, figures };
}
