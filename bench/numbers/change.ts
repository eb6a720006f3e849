/**
 * From a change to the new answer, and how long other guests wait meanwhile.
 *
 * A change is done to a databag (the file is written in place by Python, as CloudStack does), or in
 * the way of the virtual router (every file of every guest is written again). One guest asks for
 * the changed key until it gets the new value; another asks something once a millisecond, and the
 * longest of its waits counts, also for requests that were due but could not be sent.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, makeSite, type Served, serve, settle } from "../bench.ts";
import { CHANGED_KEY, type Guest } from "../lab.ts";
import { type Probe, startProbe } from "../load/load.ts";
import { apache } from "../peers/apache.ts";
import { epoll } from "../peers/epoll.ts";
import type { Peer, Site } from "../peers/peer.ts";
import { writeSkeleton } from "../peers/www.ts";
import { type Script, startScript } from "../vr/script.ts";

/** Through the databag: milliseconds count. */
export const WATCH_US = 500;
/** In the router's way seconds count, and asking often is a load that Apache would feel. */
const WATCH_REWRITE_US = 10_000;
const OTHER_US = 1000;
/** The slowest way known needs minutes for 10,000 instances. */
const VISIBLE_MS_MAX = 600_000;
const PAUSE_MS = 300;
/** What a change causes later: the router writes its snapshot within 30 s. */
const AFTERMATH_MS = 35_000;
const AFTERMATH_INSTANCES_MIN = 10_000;

export interface ChangeFigures {
  readonly instances: number;
  /** One for each change: from the last byte written (or the command) to the new answer. */
  readonly visibleMs: readonly number[];
  /** One for each change: how long the writer or the command took by itself. */
  readonly writeMs: readonly number[];
  /** While all this happened. */
  readonly meanwhile: Waits;
  /** In `AFTERMATH_MS` after the changes; only where it was waited for. */
  readonly after?: Waits;
}

/** The longest wait of a guest that the changes do not concern. */
export interface Waits {
  readonly longestMs: number;
  /** The same at the C responder, on the same CPU at the same time: what the machine does to it. */
  readonly controlMs: number;
}

/** Waits of a guest that the changes do not concern. `body` runs meanwhile. */
export async function whileOtherAsks<T>(
  bench: Bench,
  options: { served: Served; control: Served; guest: Guest },
  body: () => Promise<T>,
): Promise<{ value: T; waits: Waits }> {
  const [probe, control] = [options.served, options.control].map(({ port }) =>
    startProbe(bench.tools.probe, {
      port,
      source: options.guest.address,
      path: "/latest/meta-data/instance-id",
      intervalUs: OTHER_US,
    }),
  ) as [Probe, Probe];
  try {
    const value = await body();
    const [asked, controlled] = await Promise.all([probe.finish(), control.finish()]);
    return { value, waits: { longestMs: asked.ms.max, controlMs: controlled.ms.max } };
  } finally {
    void probe.finish();
    void control.finish();
  }
}

/** The waits in the time after a change; looked at once, because it takes long. */
export async function aftermath(
  bench: Bench,
  options: Parameters<typeof whileOtherAsks>[1] & { instances: number; round: number },
): Promise<{ after?: Waits }> {
  if (options.round > 1 || options.instances < AFTERMATH_INSTANCES_MIN) return {};
  const { waits } = await whileOtherAsks(bench, options, () => sleep(AFTERMATH_MS));
  return { after: waits };
}

/** The guest that changes for the `turn`-th time: the middle of the list first, never guest 0. */
export function guestInTurn(guests: readonly Guest[], turn: number): Guest {
  const others = guests.length - 1;
  const guest = guests[1 + ((Math.floor(others / 2) + turn * 7919) % others)];
  if (guest === undefined) throw new Error("a change needs two guests or more");
  return guest;
}

/** Every change has a value of its own, so that an old answer is never taken for the new one. */
let values = 0;
export function freshValue(): string {
  values++;
  return `203.0.${113 + (values >> 8)}.${values & 255}`;
}

async function watchChange(
  bench: Bench,
  options: { served: Served; script: Script; guest: Guest; watchUs: number },
): Promise<{ visibleMs: number; sinceBegunMs: number; writeMs: number }> {
  const { served, script, guest, watchUs } = options;
  const value = freshValue();
  const watch = startProbe(bench.tools.probe, {
    port: served.port,
    source: guest.address,
    path: `/latest/meta-data/${CHANGED_KEY}`,
    intervalUs: watchUs,
    until: value,
    limitMs: VISIBLE_MS_MAX,
  });
  await sleep(PAUSE_MS);
  const { begunMs, endedMs } = await script.change(guest.address, value);
  const { seenMs } = await watch.result;
  if (seenMs === 0) throw new Error(`${served.peer.title}: a change never became visible`);
  return {
    visibleMs: seenMs - endedMs,
    sinceBegunMs: seenMs - begunMs,
    writeMs: endedMs - begunMs,
  };
}

interface Measured {
  readonly peer: Peer;
  readonly site: Site;
  readonly directory: string;
  readonly round: number;
}

export async function measureChange(
  bench: Bench,
  options: Measured & { script: Script; changes: number; watchUs: number },
): Promise<Omit<ChangeFigures, "visibleMs"> & { afterMs: number[]; sinceBegunMs: number[] }> {
  const { site, script, watchUs, round } = options;
  await using served = await serve(bench, options.peer, options);
  await settle(served);
  const [first] = site.guests;
  if (first === undefined) throw new Error("a site without guests");
  await using control = await serve(bench, epoll, { directory: "control" });
  const asking = { served, control, guest: first };
  const { value, waits } = await whileOtherAsks(bench, asking, async () => {
    const seen: Awaited<ReturnType<typeof watchChange>>[] = [];
    for (let turn = 0; turn < options.changes; turn++) {
      const guest = guestInTurn(site.guests, turn);
      seen.push(await watchChange(bench, { served, script, guest, watchUs }));
    }
    return seen;
  });
  return {
    instances: site.guests.length,
    afterMs: value.map(({ visibleMs }) => visibleMs),
    sinceBegunMs: value.map(({ sinceBegunMs }) => sinceBegunMs),
    writeMs: value.map(({ writeMs }) => writeMs),
    meanwhile: waits,
    ...(await aftermath(bench, { ...asking, instances: site.guests.length, round })),
  };
}

/** Changes in vmdata.json, seen by a router that reads it. Counted from the last byte written. */
export async function measureDatabag(
  bench: Bench,
  options: { peer: Peer; instances: number; round: number },
): Promise<ChangeFigures> {
  const directory = `databag-${options.peer.name}-${options.instances}-${options.round}`;
  const site = makeSite(join(bench.directory, directory), options.instances, {
    large: false,
    programs: bench.site.programs,
  });
  await using script = await startScript("databag", [join(site.databags, "vmdata.json")]);
  const { peer, round } = options;
  const changes = bench.scale.databagChanges;
  try {
    const { afterMs, ...figures } = await measureChange(bench, {
      ...{ peer, site, directory, script, changes, round, watchUs: WATCH_US },
    });
    return { ...figures, visibleMs: afterMs };
  } finally {
    rmSync(join(bench.directory, directory), { recursive: true, force: true });
  }
}

/** Changes in the way of the virtual router. Counted from the first file written. */
export async function measureRewrite(
  bench: Bench,
  options: { instances: number; changes: number },
): Promise<ChangeFigures> {
  const directory = `rewrite-${options.instances}`;
  const site = makeSite(join(bench.directory, directory), options.instances, {
    large: false,
    programs: bench.site.programs,
  });
  writeSkeleton(site.tree);
  await using script = await startScript("rewrite", [
    join(site.databags, "vmdata.json"),
    site.tree,
  ]);
  const { changes } = options;
  try {
    const { sinceBegunMs, ...figures } = await measureChange(bench, {
      ...{ peer: apache, site, directory, script, changes, watchUs: WATCH_REWRITE_US },
      round: Number.POSITIVE_INFINITY, // Nothing comes after the last file.
    });
    return { ...figures, visibleMs: sinceBegunMs };
  } finally {
    rmSync(join(bench.directory, directory), { recursive: true, force: true });
  }
}
