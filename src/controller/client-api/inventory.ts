/**
 * All instances of the store, by their ids: an instance has a record in each of its networks.
 *
 * What was read is used again until the store has another revision, so that pages of one listing,
 * and deployments one after the other, do not read everything anew.
 */

import {
  addressesOf,
  type InstanceRecord,
  type RecordName,
  type StoredRecord,
} from "../../model/record.ts";
import type { Store } from "../../store/store.ts";

/** The records of one instance, the one with its default NIC first. Never empty. */
export type Records = readonly [StoredRecord, ...StoredRecord[]];

/** By the instance's id, then by network. */
type ById = Map<string, Map<string, StoredRecord>>;

export class Inventory {
  readonly #store: Store;
  #records: ById = new Map();
  /** By network, of those that were asked for. */
  #taken = new Map<string, Set<string>>();
  #revision: number | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** O(1) while nobody else has written; else O(records). */
  async one(id: string): Promise<Records | undefined> {
    await this.#refresh();
    return ordered(this.#records.get(id));
  }

  /** In the order of their ids. */
  async all(): Promise<readonly Records[]> {
    await this.#refresh();
    const ids = [...this.#records.keys()].sort();
    return ids.flatMap((id) => {
      const records = ordered(this.#records.get(id));
      return records === undefined ? [] : [records];
    });
  }

  /** Addresses that are taken in a network. O(1), but for the first time. */
  async addresses(network: string): Promise<ReadonlySet<string>> {
    await this.#refresh();
    let taken = this.#taken.get(network);
    if (taken === undefined) {
      const records = [...this.#records.values()].flatMap((by) => by.get(network) ?? []);
      taken = new Set(records.flatMap(({ record }) => addressesOf(record)));
      this.#taken.set(network, taken);
    }
    return taken;
  }

  /** As the store's `put`. */
  async put(record: InstanceRecord, expect: number): Promise<StoredRecord> {
    const stored = await this.#store.put(record, { expect });
    if (!this.#follows(stored.revision)) return stored;
    this.#free(stored.record);
    keep(this.#records, stored);
    const taken = this.#taken.get(record.network);
    for (const address of addressesOf(stored.record)) taken?.add(address);
    return stored;
  }

  /** As the store's `delete`. */
  async delete(name: RecordName): Promise<void> {
    const revision = await this.#store.delete(name);
    if (revision === undefined || !this.#follows(revision)) return;
    this.#free(name);
    const records = this.#records.get(name.id);
    records?.delete(name.network);
    if (records?.size === 0) this.#records.delete(name.id);
  }

  /** The addresses that a record had are nobody's. */
  #free({ network, id }: RecordName): void {
    const before = this.#records.get(id)?.get(network);
    if (before === undefined) return;
    for (const address of addressesOf(before.record)) this.#taken.get(network)?.delete(address);
  }

  /** Whether what was read is, with one write of ours, the store at a revision. */
  #follows(revision: number): boolean {
    if (this.#revision === undefined || revision !== this.#revision + 1) return false;
    this.#revision = revision;
    return true;
  }

  async #refresh(): Promise<void> {
    let page = await this.#store.list({ limit: 1 });
    if (page.revision === this.#revision) return;
    // What is written while it is read has a later revision than this, and is read the next time.
    const { revision } = page;
    const records: ById = new Map();
    page = await this.#store.list();
    for (;;) {
      for (const stored of page.records) keep(records, stored);
      if (page.next === undefined) break;
      page = await this.#store.list({ after: page.next });
    }
    this.#records = records;
    this.#taken = new Map();
    this.#revision = revision;
  }
}

function keep(byId: ById, stored: StoredRecord): void {
  const { network, id } = stored.record;
  const records = byId.get(id) ?? new Map<string, StoredRecord>();
  byId.set(id, records.set(network, stored));
}

function ordered(records: ReadonlyMap<string, StoredRecord> | undefined): Records | undefined {
  const [first, ...rest] = [...(records?.values() ?? [])].sort(
    (a, b) => Number(hasDefault(b)) - Number(hasDefault(a)),
  );
  return first === undefined ? undefined : [first, ...rest];
}

function hasDefault({ record }: StoredRecord): boolean {
  return record.nics.some((nic) => nic.default);
}
