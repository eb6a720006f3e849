/**
 * Makes a store say what CloudStack says.
 *
 * What is not certain is neither changed nor deleted: an answer that fails ends the look with the
 * records as they were, an instance that cannot be used keeps its last record, and a listing that
 * never stood still takes nobody away. Passwords stay: the API never has them.
 */

import type { Network } from "../model/change.ts";
import { RecordError } from "../model/errors.ts";
import { NETWORKS_MAX } from "../model/record-limits.ts";
import { parseNetworks } from "../model/record-parse.ts";
import type { Api } from "../source/cloudstack/client.ts";
import { Findings } from "../source/cloudstack/findings.ts";
import { networksOf } from "../source/cloudstack/networks.ts";
import { readCloud, readInstanceAnew, type Surroundings } from "../source/cloudstack/read-cloud.ts";
import { type Mapped, recordsOf } from "../source/cloudstack/records.ts";
import { Slices } from "../source/slices.ts";
import type { Store } from "../store/store.ts";
import { type Installations, openInstallations } from "./installations.ts";
import { Keeper, type Waiting } from "./keeper.ts";
import type { Look, Looked } from "./look.ts";
import { CONFIRM_MS, Shrink } from "./shrink.ts";
import type { Troubles } from "./troubles.ts";
import { type InTurn, turns } from "./turns.ts";

/** After so many that were compared or asked for, garbage is collected: 10 KB of it for each. */
const COLLECT_RECORDS = 1600;

/** What is remembered of so many instances is written together, before their records are. */
const BATCH = 100;

/** Records of so many are written together: a few milliseconds, and one piece of news. */
const TOGETHER = 20;

/** Where findings about networks are. */
const PLACE = "listNetworks";

export interface ReconcilePorts {
  readonly api: Api;
  /** For single instances: they do not wait for the pages of a look at everything. */
  readonly apiAlone: Api;
  /** Names the keys' user to the API. They may be replaced. */
  readonly apiKey: () => string;
  readonly store: Store;
  readonly troubles: Troubles;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Collects garbage; absent where the runtime has no such thing. */
  readonly collect?: () => void;
}

export class Reconciler implements Look {
  readonly #ports: ReconcilePorts;
  readonly #shrink: Shrink;
  #held: { readonly keeper: Keeper; readonly installations: Installations } | undefined;
  /** What was looked at alone since the last look at everything began: that one knows less. */
  #newer = new Set<string>();
  /** What one look writes of an instance no other look overtakes half way. */
  readonly #inTurn: InTurn = turns();
  /** Of the last look at everything. */
  #around: Surroundings | undefined;

  constructor(ports: ReconcilePorts) {
    this.#ports = ports;
    this.#shrink = new Shrink(ports.now);
  }

  async all(signal: AbortSignal): Promise<Looked> {
    try {
      return await this.#all(signal);
    } finally {
      // What was read is as large as all that is known, and the next comes beside it.
      const { collect } = this.#ports;
      if (collect !== undefined) setImmediate(collect);
    }
  }

  async #all(signal: AbortSignal): Promise<Looked> {
    const { api, apiKey, troubles } = this.#ports;
    const { keeper, installations } = await this.#open();
    const findings = new Findings();
    const known = new Set(keeper.ids.keys());
    this.#newer = new Set();
    const cloud = await readCloud({ api, apiKey: apiKey(), findings, signal }, known);
    const { instances, complete, rootDisks: _, ...around } = cloud;
    const listed = new Set(instances.map(({ id }) => id));
    const { seen, waiting } = await this.#keep(recordsOf(cloud, installations, findings), signal);

    const gone = [...known].filter((id) => !seen.has(id));
    const vanished = complete ? gone.filter((id) => !listed.has(id)) : [];
    const { gone: believed, doubted } = this.#shrink.believe(vanished, known.size);
    const slices = new Slices(signal);
    // One that is listed as destroyed is gone for certain.
    for (const id of [...gone.filter((id) => listed.has(id)), ...believed]) {
      await this.#inTurn(async () => {
        if (!this.#newer.has(id)) await keeper.forget(id);
      });
      if (slices.due()) await slices.rest();
    }
    // Who has an address is not certain where one was looked at again meanwhile.
    const isOutdated = waiting.length > 0 && this.#newer.size > 0;
    if (!isOutdated) troubles.taken((await keeper.settle(waiting)).map(({ record }) => record));
    if (complete && doubted === 0)
      await installations.keepOnly(new Set([...listed, ...this.#newer]));
    await this.#keepNetworks(networksOf(cloud), findings);
    troubles.found(findings.list());
    troubles.shrank(doubted);
    this.#around = around;
    const looked = { instances: seen.size, ...keeper.takeCounts() };
    if (isOutdated) return { ...looked, againMs: 0 };
    return doubted === 0 ? looked : { ...looked, againMs: CONFIRM_MS };
  }

  async some(ids: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { apiAlone: api, apiKey } = this.#ports;
    const around = this.#around;
    if (around === undefined) return false;
    const { keeper, installations } = await this.#open();
    const findings = new Findings();
    const reader = { api, apiKey: apiKey(), findings, signal };
    const clouds = await Promise.all(ids.map((id) => readInstanceAnew(reader, { id }, around)));
    let isEnough = true;
    for (const [at, id] of ids.entries()) {
      const cloud = clouds[at];
      if (cloud === undefined || typeof cloud === "string") {
        // Of one that nobody may see and nothing is kept of, there is nothing to do.
        if (cloud !== "unlisted" || keeper.ids.has(id)) isEnough = false;
        continue;
      }
      this.#newer.add(id);
      const mapped = [...recordsOf(cloud, installations, findings)];
      const waiting = await this.#write(mapped, new Slices(signal));
      if (mapped.length === 0) await this.#inTurn(() => keeper.forget(id));
      // Whose an address is that two have, only a look at both can say.
      if (waiting.length > 0) isEnough = false;
    }
    return isEnough;
  }

  doubt(): void {
    this.#held?.keeper.doubt();
  }

  async #open(): Promise<{ readonly keeper: Keeper; readonly installations: Installations }> {
    if (this.#held !== undefined) return this.#held;
    const { store } = this.#ports;
    const keeper = await Keeper.open(store);
    const installations = await openInstallations(store, (id) => keeper.incarnationOf(id));
    this.#held = { keeper, installations };
    return this.#held;
  }

  /** Writes what a look at everything has found, but for what was looked at again meanwhile. */
  async #keep(
    all: Iterable<Mapped>,
    signal: AbortSignal,
  ): Promise<{ readonly seen: ReadonlySet<string>; readonly waiting: readonly Waiting[] }> {
    const { collect } = this.#ports;
    const { keeper } = await this.#open();
    let collected = keeper.asked;
    const done = (): number => keeper.asked + seen.size;
    const slices = new Slices(signal);
    const seen = new Set<string>();
    const waiting: Waiting[] = [];
    let batch: Mapped[] = [];
    const flush = async (): Promise<void> => {
      waiting.push(...(await this.#write(batch, slices, this.#newer)));
      batch = [];
      if (done() - collected > COLLECT_RECORDS) {
        collected = done();
        collect?.();
      }
    };
    for (const mapped of all) {
      seen.add(mapped.id);
      batch.push(mapped);
      if (batch.length === BATCH) await flush();
      if (slices.due()) await slices.rest();
    }
    await flush();
    return { seen, waiting };
  }

  /** @param newer what is left out; asked last, because it grows meanwhile */
  async #write(
    batch: readonly Mapped[],
    slices: Slices,
    newer: ReadonlySet<string> = new Set(),
  ): Promise<readonly Waiting[]> {
    const { keeper, installations } = await this.#open();
    const waiting: Waiting[] = [];
    // First: a record that says an installation which nobody remembers could say it twice.
    const older = batch.filter(({ id }) => !newer.has(id));
    await installations.remember(older.map(({ id, installation }) => [id, installation]));
    for (let from = 0; from < older.length; from += TOGETHER) {
      const some = older.slice(from, from + TOGETHER);
      const kept = await this.#inTurn(() => {
        const keep = async ({ id, records }: Mapped): Promise<readonly Waiting[]> =>
          records === undefined || newer.has(id) ? [] : keeper.keep(id, records);
        return allEnded(some.map(keep));
      });
      waiting.push(...kept.flat());
      if (slices.due()) await slices.rest();
    }
    return waiting;
  }

  /**
   * A network goes when it is certain that it is gone, and nobody has a record in it. One that is
   * listed and cannot be kept is not gone.
   */
  async #keepNetworks(found: readonly Network[], findings: Findings): Promise<void> {
    const { store } = this.#ports;
    const { keeper } = await this.#open();
    const isCertain = !findings
      .list()
      .some(
        ({ kind, place }) =>
          place === PLACE && (kind === "not-permitted" || kind === "list-unsettled"),
      );
    const good = new Map<string, Network>();
    const bad = new Set<string>();
    for (const network of found) {
      if (isWellFormed(network)) good.set(network.id, network);
      else bad.add(network.id);
    }
    for (const id of bad) findings.add("network-unusable", PLACE, [], id);
    const used = keeper.networks();
    const kept = (await store.networks()).filter(
      ({ id }) => !good.has(id) && (!isCertain || used.has(id) || bad.has(id)),
    );
    const all = [...good.values(), ...kept];
    if (all.length > NETWORKS_MAX) {
      findings.add("networks-left-out", PLACE);
      all.sort((a, b) => Number(used.has(b.id)) - Number(used.has(a.id)));
    }
    await store.putNetworks(all.slice(0, NETWORKS_MAX));
  }
}

/** What all of them say, or an error of one: when none of them is under way any more. */
async function allEnded<T>(all: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(all);
  return Promise.all(all);
}

function isWellFormed(network: Network): boolean {
  try {
    parseNetworks([network]);
    return true;
  } catch (error) {
    if (error instanceof RecordError) return false;
    throw error;
  }
}
