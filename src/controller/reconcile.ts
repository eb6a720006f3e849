/**
 * Makes a store say what CloudStack says.
 *
 * What is not certain is neither changed nor deleted: an answer that fails ends the look with the
 * records as they were, an instance that cannot be used keeps its last record, and a listing that
 * never stood still takes nobody away. Passwords stay: the API never has them.
 */

import type { Network } from "../model/change.ts";
import { RecordError } from "../model/errors.ts";
import { parseNetworks } from "../model/record-parse.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Api } from "../source/cloudstack/client.ts";
import { type Finding, Findings } from "../source/cloudstack/findings.ts";
import { networksOf } from "../source/cloudstack/networks.ts";
import { readCloud, readInstanceAnew, type Surroundings } from "../source/cloudstack/read-cloud.ts";
import { type Mapped, recordsOf } from "../source/cloudstack/records.ts";
import { Slices } from "../source/slices.ts";
import type { Store } from "../store/store.ts";
import { Installations } from "./installations.ts";
import { Keeper } from "./keeper.ts";
import type { Look, Looked } from "./look.ts";
import { CONFIRM_MS, Shrink } from "./shrink.ts";
import type { Troubles } from "./troubles.ts";

/** What is remembered of so many instances is written together, before their records are. */
const BATCH = 100;

export interface ReconcilePorts {
  readonly api: Api;
  readonly apiKey: string;
  readonly store: Store;
  readonly conditions: Conditions;
  readonly troubles: Troubles;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Reconciler implements Look {
  readonly #ports: ReconcilePorts;
  readonly #shrink: Shrink;
  #held: { readonly keeper: Keeper; readonly installations: Installations } | undefined;
  /** Of the last look at everything. */
  #around: Surroundings | undefined;

  constructor(ports: ReconcilePorts) {
    this.#ports = ports;
    this.#shrink = new Shrink(ports.now);
  }

  async all(signal: AbortSignal): Promise<Looked> {
    const { api, apiKey, troubles } = this.#ports;
    const { keeper } = await this.#open();
    const findings = new Findings();
    const known = new Set(keeper.ids.keys());
    const cloud = await readCloud({ api, apiKey, findings, signal }, known);
    const { instances, complete, rootDisks: _, ...around } = cloud;
    const listed = new Set(instances.map(({ id }) => id));
    const seen = new Set<string>();
    await this.#keep(recordsOf(cloud, this.#installations, findings), signal, seen);

    const gone = [...known].filter((id) => !seen.has(id));
    const vanished = complete ? gone.filter((id) => !listed.has(id)) : [];
    const { gone: believed, doubted } = this.#shrink.believe(vanished, known.size);
    const slices = new Slices(signal);
    // One that is listed as destroyed is gone for certain.
    for (const id of [...gone.filter((id) => listed.has(id)), ...believed]) {
      await keeper.forget(id);
      if (slices.due()) await slices.rest();
    }
    troubles.taken(await keeper.settle());
    if (complete && doubted === 0) await this.#installations.keepOnly(listed);
    await this.#keepNetworks(networksOf(cloud), findings.list());
    troubles.found(findings.list());
    troubles.shrank(doubted);
    this.#around = around;
    const counts = { instances: seen.size, ...keeper.takeCounts() };
    return doubted === 0 ? counts : { ...counts, againMs: CONFIRM_MS };
  }

  async one(id: string, signal: AbortSignal): Promise<boolean> {
    const { api, apiKey } = this.#ports;
    if (this.#around === undefined) return false;
    const { keeper } = await this.#open();
    const findings = new Findings();
    const reader = { api, apiKey, findings, signal };
    const cloud = await readInstanceAnew(reader, { id }, this.#around);
    if (cloud === undefined) return false;
    const seen = new Set<string>();
    await this.#keep(recordsOf(cloud, this.#installations, findings), signal, seen);
    if (!seen.has(id)) await keeper.forget(id);
    // Whose an address is that two have, only a look at both can say.
    return !keeper.drop();
  }

  doubt(): void {
    this.#held?.keeper.doubt();
  }

  get #installations(): Installations {
    if (this.#held === undefined) throw new TypeError("not opened");
    return this.#held.installations;
  }

  async #open(): Promise<{ readonly keeper: Keeper; readonly installations: Installations }> {
    if (this.#held !== undefined) return this.#held;
    const { store } = this.#ports;
    const keeper = await Keeper.open(store);
    const installations = await Installations.open(store, (id) => keeper.incarnationOf(id));
    this.#held = { keeper, installations };
    return this.#held;
  }

  async #keep(all: Iterable<Mapped>, signal: AbortSignal, seen: Set<string>): Promise<void> {
    const slices = new Slices(signal);
    let batch: Mapped[] = [];
    for (const mapped of all) {
      seen.add(mapped.id);
      batch.push(mapped);
      if (batch.length === BATCH) {
        await this.#write(batch, slices);
        batch = [];
      }
      if (slices.due()) await slices.rest();
    }
    await this.#write(batch, slices);
  }

  async #write(batch: readonly Mapped[], slices: Slices): Promise<void> {
    const { keeper, installations } = await this.#open();
    // First: a record that says an installation which nobody remembers could say it twice.
    await installations.remember(batch.map(({ id, installation }) => [id, installation]));
    for (const { id, records } of batch) {
      if (records !== undefined) await keeper.keep(id, records);
      if (slices.due()) await slices.rest();
    }
  }

  /** A network goes when it is certain that it is gone, and nobody has a record in it. */
  async #keepNetworks(found: readonly Network[], findings: readonly Finding[]): Promise<void> {
    const { store } = this.#ports;
    const { keeper } = await this.#open();
    const isCertain = !findings.some(
      ({ kind, place }) =>
        place === "listNetworks" && (kind === "not-permitted" || kind === "list-unsettled"),
    );
    const ids = new Set(found.map(({ id }) => id));
    const used = keeper.networks();
    const kept = (await store.networks()).filter(
      ({ id }) => !ids.has(id) && (!isCertain || used.has(id)),
    );
    await store.putNetworks([...found.filter(isWellFormed), ...kept]);
  }
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
