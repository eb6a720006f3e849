/**
 * Makes a store say what a source of bindings says: a file of instances, or a router's databags.
 *
 * Those tell differences, and keep their own last good state. So only the instances that a
 * difference is about are looked at, and one that could not be written is looked at again.
 */

import type { Binding } from "../model/binding.ts";
import { type Change, placeOf } from "../model/change.ts";
import { RecordError } from "../model/errors.ts";
import type { InstanceRecord } from "../model/record.ts";
import type { Conditions } from "../observe/conditions.ts";
import { Slices } from "../source/slices.ts";
import type { Source } from "../source/source.ts";
import type { Store } from "../store/store.ts";
import { recordOf, secretOf } from "./bindings.ts";
import { Keeper, type Waiting } from "./keeper.ts";
import type { Look, Looked } from "./look.ts";
import { CONFIRM_MS, Shrink } from "./shrink.ts";
import type { Troubles } from "./troubles.ts";

export interface SourceLookPorts {
  readonly source: Pick<Source, "poll" | "networks">;
  readonly store: Store;
  readonly conditions: Conditions;
  readonly troubles: Troubles;
  readonly sealKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Said {
  readonly epoch: number;
  readonly password: string | undefined;
}

export class SourceLook implements Look {
  readonly #ports: SourceLookPorts;
  readonly #shrink: Shrink;
  readonly #bindings = new Map<string, Binding>();
  /** What the source has said of an address's password. */
  readonly #passwords = new Map<string, Said>();
  /** The places of each instance. */
  readonly #places = new Map<string, Set<string>>();
  /** Instances of which the store may say something else. */
  readonly #touched = new Set<string>();
  #keeper: Keeper | undefined;

  constructor(ports: SourceLookPorts) {
    this.#ports = ports;
    this.#shrink = new Shrink(ports.now);
  }

  async all(signal: AbortSignal): Promise<Looked> {
    const { source, store, troubles } = this.#ports;
    for (const change of await source.poll(signal)) this.#take(change);
    this.#keeper ??= await Keeper.open(store);
    const keeper = this.#keeper;
    // What the source says meanwhile is for the next look.
    const unfinished = new Set(this.#touched);
    this.#touched.clear();
    let doubted = 0;
    try {
      const waiting = await this.#keepAll(keeper, unfinished, signal);
      const known = [...keeper.ids.keys()];
      const vanished = known.filter((id) => !this.#places.has(id));
      const believed = this.#shrink.believe(vanished, known.length);
      doubted = believed.doubted;
      for (const id of believed.gone) await keeper.forget(id);
      const refused = await keeper.settle(waiting);
      troubles.taken(refused.map(({ record }) => record));
      unfinished.clear();
      for (const { id } of refused) unfinished.add(id);
    } finally {
      for (const id of unfinished) this.#touched.add(id);
    }
    troubles.shrank(doubted);
    await store.putNetworks(source.networks());
    const looked = { instances: this.#places.size, ...keeper.takeCounts() };
    return doubted === 0 ? looked : { ...looked, againMs: CONFIRM_MS };
  }

  async some(): Promise<boolean> {
    return false;
  }

  doubt(): void {
    this.#keeper?.doubt();
    for (const id of this.#places.keys()) this.#touched.add(id);
  }

  #take(change: Change): void {
    const { network, address } = placeOf(change);
    const place = `${network}/${address}`;
    const before = this.#bindings.get(place);
    if (change.kind === "password") {
      this.#passwords.set(place, change);
    } else {
      if (before !== undefined) this.#leave(before.instance, place);
      if (change.kind === "put") {
        this.#bindings.set(place, change.binding);
        const { instance } = change.binding;
        const places = this.#places.get(instance) ?? new Set();
        this.#places.set(instance, places.add(place));
      } else this.#bindings.delete(place);
      if (change.kind === "delete") this.#passwords.delete(place);
    }
    const now = this.#bindings.get(place);
    for (const binding of [before, now]) {
      if (binding !== undefined) this.#touched.add(binding.instance);
    }
  }

  #leave(instance: string, place: string): void {
    const places = this.#places.get(instance);
    places?.delete(place);
    if (places?.size === 0) this.#places.delete(instance);
  }

  /** @param unfinished loses those of which nothing is left to write */
  async #keepAll(
    keeper: Keeper,
    unfinished: Set<string>,
    signal: AbortSignal,
  ): Promise<readonly Waiting[]> {
    const slices = new Slices(signal);
    const waiting: Waiting[] = [];
    for (const id of [...unfinished]) {
      const left = await this.#keep(keeper, id);
      if (left.length === 0) unfinished.delete(id);
      waiting.push(...left);
      if (slices.due()) await slices.rest();
    }
    return waiting;
  }

  async #keep(keeper: Keeper, id: string): Promise<readonly Waiting[]> {
    const { conditions } = this.#ports;
    const networks = new Map<string, Binding[]>();
    for (const place of this.#places.get(id) ?? []) {
      const binding = this.#bindings.get(place);
      if (binding === undefined) continue;
      networks.set(binding.network, [...(networks.get(binding.network) ?? []), binding]);
    }
    // The source itself said that it is gone.
    if (networks.size === 0) {
      await keeper.forget(id);
      conditions.clear("INSTANCE_UNUSABLE", id);
      return [];
    }
    try {
      const made = [...networks.values()].map((bindings) => this.#record(bindings));
      conditions.clear("INSTANCE_UNUSABLE", id);
      const ownsPassword = made.some(({ isSaid }) => isSaid);
      const records = made.map(({ record }) => record);
      return await keeper.keep(id, records, { ownsPassword });
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      conditions.raise("INSTANCE_UNUSABLE", id, error.message);
      return [];
    }
  }

  #record(bindings: readonly Binding[]): { record: InstanceRecord; isSaid: boolean } {
    let isSaid = false;
    for (const at of bindings) {
      const said = this.#passwords.get(`${at.network}/${at.address}`);
      if (said?.epoch !== at.epoch) continue;
      isSaid = true;
      if (said.password === undefined) continue;
      const secret = secretOf(at.instance, said.password, this.#ports.sealKey);
      return { record: recordOf(bindings, { at, secret }), isSaid };
    }
    return { record: recordOf(bindings), isSaid };
  }
}
