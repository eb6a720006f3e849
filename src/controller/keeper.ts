/**
 * Keeps a store as a source says it is, and writes only what differs.
 *
 * It remembers a digest of what the source said last of each record, so that a pass with ten
 * changes reads and writes ten. What it does not know it asks the store, which does not write again
 * what it keeps already.
 */

import type { NetworkId } from "../model/binding.ts";
import { StoreConflictError, StoreError } from "../model/errors.ts";
import { addressesOf, type InstanceRecord, isSealed, type RecordName } from "../model/record.ts";
import { contentHash } from "../protocol/etag.ts";
import type { Store } from "../store/store.ts";

/** Somebody else who writes the same record has come between so often, and no more. */
const CONFLICTS_MAX = 5;

/** The store has the record, and the source was not asked about it yet, or is in doubt. */
const UNKNOWN = "";

export interface KeepOptions {
  /** The source says what password waits, or that none does. Else the store's own is kept. */
  readonly ownsPassword?: boolean;
}

/** A record that a source wants to be kept. */
interface Wanted extends KeepOptions {
  readonly id: string;
  readonly record: InstanceRecord;
  /** Networks that the instance is no longer in: their records are still there. */
  readonly left: readonly NetworkId[];
  /** Gets the password that waits in one of those. */
  readonly isHeir: boolean;
}

/** A record that has an address which another record has still. */
export type Waiting = Wanted;

export class Keeper {
  readonly #store: Store;
  /** By instance and network: the digest of what the source said last. */
  readonly #known = new Map<string, Map<NetworkId, string>>();
  readonly #incarnations = new Map<string, number>();
  #doubts = 0;
  #asked = 0;
  #written = 0;
  #deleted = 0;

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Learns which records there are. O(records), once. */
  static async open(store: Store): Promise<Keeper> {
    const keeper = new Keeper(store);
    for await (const { id, network, incarnation } of allRecords(store)) {
      keeper.#networksOf(id).set(network, UNKNOWN);
      const before = keeper.#incarnations.get(id) ?? 1;
      keeper.#incarnations.set(id, Math.max(before, incarnation));
    }
    return keeper;
  }

  /** Instances that have a record. */
  get ids(): ReadonlyMap<string, unknown> {
    return this.#known;
  }

  /** Which installation the records of an instance said that it was, when this was opened. */
  incarnationOf(id: string): number | undefined {
    return this.#incarnations.get(id);
  }

  /** Networks that have a record. */
  networks(): Set<NetworkId> {
    return new Set([...this.#known.values()].flatMap((networks) => [...networks.keys()]));
  }

  /** How often the store was asked for a record, in all. */
  get asked(): number {
    return this.#asked;
  }

  /** Writes and deletions since the last call. */
  takeCounts(): { readonly written: number; readonly deleted: number } {
    const counts = { written: this.#written, deleted: this.#deleted };
    this.#written = 0;
    this.#deleted = 0;
    return counts;
  }

  /** Asks the store about everything again: somebody else may have written, or the disk erred. */
  doubt(): void {
    this.#doubts++; // What is being written now was asked about before.
    for (const networks of this.#known.values()) {
      for (const network of networks.keys()) networks.set(network, UNKNOWN);
    }
  }

  /**
   * Makes an instance's records these: those of other networks go.
   *
   * @returns those that are not written yet, because another record has an address of theirs still:
   *   for `settle`
   * @throws {StoreError} if the store cannot be written.
   */
  async keep(
    id: string,
    records: readonly InstanceRecord[],
    options: KeepOptions = {},
  ): Promise<readonly Waiting[]> {
    const networks = this.#networksOf(id);
    const named = new Set(records.map(({ network }) => network));
    const left = [...networks.keys()].filter((network) => !named.has(network));
    const heir = records.find(({ nics }) => nics.some((nic) => nic.default)) ?? records[0];
    const waiting: Waiting[] = [];
    for (const record of records) {
      const wanted = { id, record, left, isHeir: record === heir, ...options };
      const digest = digestOf(record, options);
      const isKept = networks.get(record.network) === digest && left.length === 0;
      if (isKept) continue;
      const doubts = this.#doubts;
      if (!(await this.#put(wanted))) waiting.push(wanted);
      else networks.set(record.network, this.#doubts === doubts ? digest : UNKNOWN);
    }
    for (const network of left) {
      if (waiting.length === 0) await this.#delete(id, network);
      else await this.#silence(id, network);
    }
    if (networks.size === 0) this.#known.delete(id);
    return waiting;
  }

  /**
   * Deletes all records of an instance.
   *
   * @throws {StoreError} if the store cannot be written.
   */
  async forget(id: string): Promise<void> {
    for (const network of [...(this.#known.get(id)?.keys() ?? [])]) await this.#delete(id, network);
    this.#known.delete(id);
    this.#incarnations.delete(id);
  }

  /**
   * Writes what has waited for an address. Whoever still has it loses it: that another has it now
   * is certain, and nobody may be told the metadata of the one before.
   *
   * @returns those that could not be written all the same
   * @throws {StoreError} if the store cannot be written.
   */
  async settle(waiting: readonly Waiting[]): Promise<readonly Waiting[]> {
    let still = await this.#retry(waiting);
    if (still.length > 0) {
      await this.#takeAway(still);
      still = await this.#retry(still);
    }
    const incomplete = new Set(still.map(({ id }) => id));
    for (const { id, left } of waiting) {
      if (incomplete.has(id)) continue;
      for (const network of left) await this.#delete(id, network);
    }
    return still;
  }

  async #retry(waiting: readonly Waiting[]): Promise<Waiting[]> {
    const still: Waiting[] = [];
    for (const one of waiting) {
      const { id, record } = one;
      if (!(await this.#put(one))) still.push(one);
      else this.#networksOf(id).set(record.network, digestOf(record, one));
    }
    return still;
  }

  /** Takes the addresses that these records want from all others. */
  async #takeAway(waiting: readonly Waiting[]): Promise<void> {
    const wanted = new Map<string, string>();
    for (const { id, record } of waiting) {
      for (const address of addressesOf(record)) wanted.set(`${record.network}/${address}`, id);
    }
    for (const network of new Set(waiting.map(({ record }) => record.network))) {
      for await (const held of allRecords(this.#store, network)) {
        const isLost = (address: string): boolean =>
          (wanted.get(`${network}/${address}`) ?? held.id) !== held.id;
        if (!addressesOf(held).some(isLost)) continue;
        const nics = held.nics.map((nic) => ({
          ...nic,
          addresses: nic.addresses.filter((address) => !isLost(address)),
        }));
        await this.#putBack({ ...held, nics });
      }
    }
  }

  /**
   * A network is left, and what takes its record's place is not written yet: nobody is answered by
   * it, and what an operator did to the instance is not forgotten.
   */
  async #silence(id: string, network: NetworkId): Promise<void> {
    const held = await this.#store.get({ network, id });
    if (held !== undefined) await this.#putBack({ ...held.record, nics: [] });
  }

  /** What the source says of it is to be compared again. */
  async #putBack(record: InstanceRecord): Promise<void> {
    const { id, network } = record;
    await this.#put({ id, record, left: [], isHeir: false });
    this.#networksOf(id).set(network, UNKNOWN);
  }

  /** @returns false if another record has one of its addresses */
  async #put(wanted: Wanted): Promise<boolean> {
    const { record, ownsPassword = false } = wanted;
    let isNew = false;
    for (let attempt = 1; ; attempt++) {
      this.#asked++;
      const held = await this.#store.get(record);
      isNew ||= held === undefined;
      const { password: said, ...rest } = record;
      const kept = ownsPassword ? undefined : held?.record.password;
      const password = said ?? kept ?? (await this.#inherited(wanted));
      const sealedIncarnation =
        held?.record.sealedIncarnation ?? (isNew ? await this.#sealOf(record) : undefined);
      const given = {
        ...rest,
        ...(password !== undefined && { password }),
        ...(sealedIncarnation !== undefined && { sealedIncarnation }),
      };
      try {
        const stored = await this.#store.put(given, { expect: held?.revision ?? 0 });
        if (stored.revision !== held?.revision) this.#written++;
        const isOpen = isNew && sealedIncarnation === undefined;
        // A seal that was on its way is in force by now.
        if (!isOpen || (await this.#sealOf(record)) === undefined) return true;
      } catch (error) {
        if (error instanceof StoreError && error.code === "STORE_ADDRESS_TAKEN") return false;
        if (!(error instanceof StoreConflictError) || attempt >= CONFLICTS_MAX) throw error;
      }
    }
  }

  /** What waits in a network that the instance has left: its guest has not got it yet. */
  async #inherited(wanted: Wanted): Promise<InstanceRecord["password"]> {
    const { id, left, isHeir, ownsPassword = false } = wanted;
    if (ownsPassword || !isHeir) return undefined;
    for (const network of left) {
      const held = await this.#store.get({ network, id });
      if (held?.record.password !== undefined) return held.record.password;
    }
    return undefined;
  }

  /** Of one that has no record in its network yet: a NIC there opens nothing that is closed. */
  async #sealOf({ id, network }: RecordName): Promise<number | undefined> {
    for (const other of this.#known.get(id)?.keys() ?? []) {
      if (other === network) continue;
      const held = await this.#store.get({ network: other, id });
      if (held !== undefined && isSealed(held.record)) return held.record.sealedIncarnation;
    }
    return undefined;
  }

  async #delete(id: string, network: NetworkId): Promise<void> {
    if ((await this.#store.delete({ network, id })) !== undefined) this.#deleted++;
    this.#known.get(id)?.delete(network);
  }

  #networksOf(id: string): Map<NetworkId, string> {
    const networks = this.#known.get(id) ?? new Map<NetworkId, string>();
    this.#known.set(id, networks);
    return networks;
  }
}

/** Equal if a source says the same of a record: 22 characters, whatever its user data. */
function digestOf(record: InstanceRecord, { ownsPassword = false }: KeepOptions): string {
  const { userData, password, ...rest } = record;
  const body = userData instanceof Uint8Array ? contentHash(userData) : (userData?.hash ?? null);
  return contentHash(JSON.stringify([rest, body, ownsPassword && (password?.id ?? null)]));
}

async function* allRecords(store: Store, network?: NetworkId): AsyncGenerator<InstanceRecord> {
  for (let after: RecordName | undefined; ; ) {
    const page = await store.list({
      ...(network !== undefined && { network }),
      ...(after !== undefined && { after }),
    });
    for (const { record } of page.records) yield record;
    if (page.next === undefined) return;
    after = page.next;
  }
}
