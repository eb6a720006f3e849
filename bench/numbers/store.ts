/**
 * From a write to the store to the new answer of a router that follows it, in another process.
 *
 * Counted from when the writer begins, so that the write and its way to the disk are in it.
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { makeGuests } from "../lab.ts";
import { following } from "../peers/frontdesk.ts";
import type { Peer, Site } from "../peers/peer.ts";
import { startChanger } from "../vr/script.ts";
import { type ChangeFigures, measureChange, WATCH_US } from "./change.ts";

const WRITER = join(import.meta.dirname, "../store/writer.ts");

export async function measureStore(
  bench: Bench,
  options: { peer: Peer; instances: number; round: number },
): Promise<ChangeFigures> {
  const { peer, instances, round } = options;
  const directory = `store-${peer.name}-${instances}-${round}`;
  const home = join(bench.directory, directory);
  mkdirSync(home, { recursive: true });
  const [path, keyFile] = ["store.sqlite", "store.key"].map((name) => join(home, name)) as [
    string,
    string,
  ];
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 });
  const { programs } = bench.site;
  const site: Site = { guests: makeGuests(instances), databags: "", tree: "", programs };
  const argv = [process.execPath, WRITER, path, keyFile, String(instances)];
  try {
    await using script = await startChanger("the store's writer", argv);
    const {
      sinceBegunMs,
      afterMs: _,
      ...figures
    } = await measureChange(bench, {
      ...{ peer: following(peer, { path, keyFile }), site, directory, script, round },
      ...{ changes: bench.scale.applyChanges, watchUs: WATCH_US },
    });
    return { ...figures, visibleMs: sinceBegunMs };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
