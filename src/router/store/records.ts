/**
 * What a store's records mean for guests: each element of its feed becomes changes.
 *
 * The cost of a change does not grow with the number of records. What a snapshot lacks is found by
 * comparing, once. Within a batch, what ends comes before what begins, because an address may pass
 * from one record to another in one step.
 */

import type { Ip } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import { type Change, type Epoch, type Place, placeOf, VIA_STORE } from "../../model/change.ts";
import type { RecordChange } from "../../model/feed.ts";
import {
  addressesOf,
  passwordAddress,
  type RecordName,
  type Secret,
  type StoredRecord,
  toBindings,
} from "../../model/record.ts";

/** What is remembered of a record: the directory has the rest. */
interface Known {
  addresses: readonly Ip[];
  epoch: number;
  /** Where its password is delivered. */
  to: Ip | undefined;
  secretId: string | undefined;
  revision: number;
  /** Which snapshot has named it last, or was the last one when it came. */
  round: number;
  /** An earlier run answered it, and the store has not said what is in it. */
  isAdopted: boolean;
}

/** What an earlier run answered. */
interface Restored extends Epoch {
  /** Absent where nothing was answered. */
  readonly instance: string | undefined;
}

/** A secret that a guest has not acknowledged, as far as the store knows. */
export interface Waiting {
  readonly instance: string;
  readonly epoch: number;
  readonly secretId: string;
}

export class Records {
  /** Where the records are, for `why`. */
  readonly #place: string;
  readonly #known = new Map<NetworkId, Map<string, Known>>();
  readonly #waiting = new Map<string, Waiting>();
  /** Secrets that guests have, and the store has not been told so. */
  readonly #delivered = new Set<string>();
  /** What an earlier run answered at, and this one does not yet. */
  readonly #restored = new Map<string, Restored>();
  /** Where an earlier run had a password, and nothing is said of it yet. */
  readonly #ledger = new Map<string, Epoch>();
  /** While records of a former store are answered: which record of the new one has an address. */
  #owners: Map<string, string> | undefined;
  #round = 0;

  constructor(place: string) {
    this.#place = place;
  }

  /** What an earlier run knew; see `Source.restore`. */
  restore(changes: readonly Change[], epochs: Iterable<Epoch>): void {
    for (const change of changes) {
      const { network, address } = placeOf(change);
      const { instance, epoch = 0 } = change.kind === "put" ? change.binding : NOBODY;
      if (change.kind === "put" || change.kind === "withhold") {
        this.#restored.set(keyOf(network, address), { network, address, instance, epoch });
      }
    }
    for (const { network, address, epoch } of epochs) {
      this.#ledger.set(keyOf(network, address), { network, address, epoch });
    }
  }

  /** Whether anything is answered that a store might take back. */
  get isEmpty(): boolean {
    return this.#known.size === 0 && this.#restored.size === 0;
  }

  /** The secret that waits at an address. */
  waiting({ network, address }: Place): Waiting | undefined {
    return this.#waiting.get(keyOf(network, address));
  }

  /** The guest has it: it is not offered again, whatever the store says until it has heard. */
  delivered(network: NetworkId, { instance, secretId }: Waiting): void {
    this.#delivered.add(secretKey(network, instance, secretId));
  }

  /** A snapshot begins: what it does not name has vanished by its end. */
  beginRound(): void {
    this.#round++;
  }

  /** The record of a snapshot is as it was. Only where it is the same store. */
  isUnchanged({ record, revision }: StoredRecord): boolean {
    const known = this.#known.get(record.network)?.get(record.id);
    if (known?.revision !== revision) return false;
    known.round = this.#round;
    return true;
  }

  /**
   * The store has these records, and cannot say what is in them: what is answered, also what an
   * earlier run answered, is still theirs, and waits for the store's word as any record's does.
   */
  keep(names: readonly RecordName[]): void {
    const unknown = new Set<string>();
    for (const { network, id } of names) {
      const known = this.#known.get(network)?.get(id);
      if (known === undefined) unknown.add(`${network}\0${id}`);
      else known.round = this.#round;
    }
    if (unknown.size > 0) this.#adopt(unknown);
  }

  /** The changes of one element, to be applied at once. */
  changes(changes: readonly RecordChange[]): Change[] {
    const ends: Change[] = [];
    const begins: Change[] = [];
    for (const change of changes) {
      if (change.kind === "put") {
        const lost = this.put(change, begins);
        for (const address of lost) ends.push(deletion(change.record.network, address));
      } else if (change.kind === "delete") this.#delete(change, ends);
      else this.#secret(change, begins);
    }
    ends.push(...begins);
    return ends;
  }

  /** @returns the addresses that the record has no more */
  put({ record, revision }: StoredRecord, changes: Change[]): readonly Ip[] {
    const { network, id, epoch, password } = record;
    const before = this.#known.get(network)?.get(id);
    const bindings = toBindings(record, this.#place);
    for (const binding of bindings) {
      changes.push({ kind: "put", binding });
      if (this.#restored.size > 0) this.#restored.delete(keyOf(network, binding.address));
    }
    const known: Known = before ?? { ...NOTHING, round: this.#round };
    const addresses = addressesOf(record);
    for (const address of addresses) this.#owners?.set(keyOf(network, address), id);
    const lost = this.#own(record, known).filter((address) => !addresses.includes(address));
    const to = passwordAddress(record);
    if (known.to !== to) this.#withdraw({ network, id }, known, { epoch, changes, lost });
    Object.assign(known, { addresses, epoch, to, revision, round: this.#round });
    this.#offer({ network, id }, known, { password, changes });
    if (known.isAdopted) this.#endLedger(network, [...addresses, ...lost], changes);
    known.isAdopted = false;
    this.#keep(network, id, known);
    return lost;
  }

  /**
   * What vanished: addresses in `lost` that nobody has gained and, unless they are kept for a
   * while, records that the last snapshot did not name and what an earlier run knew.
   */
  sweep(lost: readonly Place[], { keepsStale }: { readonly keepsStale: boolean }): Change[] {
    const held = new Map<string, string>();
    const gone = [...lost];
    if (!keepsStale) {
      gone.push(...this.#restored.values());
      this.#restored.clear();
    }
    for (const [network, records] of this.#known) {
      for (const [id, known] of records) {
        if (known.round === this.#round) {
          for (const address of known.addresses) held.set(keyOf(network, address), id);
        } else if (!keepsStale) {
          for (const address of known.addresses) gone.push({ network, address });
          this.#forget({ network, id }, known);
        }
      }
    }
    const changes: Change[] = [];
    for (const { network, address } of gone) {
      const key = keyOf(network, address);
      if (!held.has(key)) changes.push(deletion(network, address));
    }
    this.#owners = keepsStale ? held : undefined;
    if (keepsStale) return changes;
    // The store had a password there once. Its guest has it by now, or it was taken back.
    for (const [key, at] of this.#ledger) {
      // Of a record that cannot be opened, nobody has said so.
      if (this.#adopted(at.network, held.get(key))) continue;
      changes.push(offer(at, undefined));
      this.#ledger.delete(key);
    }
    return changes;
  }

  /** How many of what is answered the store has named, since it was read last, and how many not. */
  ages(): { readonly fresh: number; readonly stale: number } {
    let [fresh, stale] = [0, this.#restored.size];
    for (const records of this.#known.values()) {
      for (const { round } of records.values()) {
        if (round === this.#round) fresh++;
        else stale++;
      }
    }
    return { fresh, stale };
  }

  /** The records that have an address: one in each network, at most. Looks at all of them. */
  namesAt(address: Ip): readonly RecordName[] {
    const names: RecordName[] = [];
    for (const [network, records] of this.#known) {
      for (const [id, { addresses }] of records) {
        if (addresses.includes(address)) names.push({ network, id });
      }
    }
    return names;
  }

  #delete(name: RecordName, changes: Change[]): void {
    const known = this.#known.get(name.network)?.get(name.id);
    if (known === undefined) return;
    const own = this.#own(name, known);
    for (const address of own) changes.push(deletion(name.network, address));
    if (known.isAdopted) this.#endLedger(name.network, own, changes);
    this.#forget(name, known);
  }

  /** @param names of records, as `network\0id` */
  #adopt(names: ReadonlySet<string>): void {
    for (const [key, { network, address, epoch, instance = "" }] of this.#restored) {
      if (!names.has(`${network}\0${instance}`)) continue;
      this.#restored.delete(key);
      const { addresses, epoch: other } = this.#known.get(network)?.get(instance) ?? NOTHING;
      this.#keep(network, instance, {
        ...{ ...NOTHING, round: this.#round, isAdopted: true },
        ...{ addresses: [...addresses, address], epoch: Math.max(epoch, other) },
      });
    }
  }

  #adopted(network: NetworkId, id: string | undefined): boolean {
    return id !== undefined && this.#known.get(network)?.get(id)?.isAdopted === true;
  }

  /** The store has said what waits at these addresses; what an earlier run had there is over. */
  #endLedger(network: NetworkId, addresses: readonly Ip[], changes: Change[]): void {
    for (const address of addresses) {
      const at = this.#ledger.get(keyOf(network, address));
      if (at === undefined) continue;
      changes.push(offer(at, undefined));
      this.#ledger.delete(keyOf(network, address));
    }
  }

  /** Its addresses, but for those that a record of a new store has taken. */
  #own({ network, id }: RecordName, { addresses }: Known): readonly Ip[] {
    const owners = this.#owners;
    if (owners === undefined) return addresses;
    return addresses.filter((address) => (owners.get(keyOf(network, address)) ?? id) === id);
  }

  #secret(change: Extract<RecordChange, { kind: "secret" }>, changes: Change[]): void {
    const known = this.#known.get(change.network)?.get(change.id);
    if (known === undefined) return;
    known.epoch = change.epoch;
    known.revision = change.revision;
    this.#offer(change, known, { password: change.password, changes });
  }

  /** The password goes elsewhere: at the address that had it, if that is the record's still. */
  #withdraw(
    { network, id }: RecordName,
    known: Known,
    { epoch, changes, lost }: { epoch: number; changes: Change[]; lost: readonly Ip[] },
  ): void {
    const { to: address, secretId } = known;
    if (address === undefined || secretId === undefined) return;
    if (this.#waiting.get(keyOf(network, address))?.instance === id) {
      this.#waiting.delete(keyOf(network, address));
    }
    if (!lost.includes(address)) changes.push(offer({ network, address, epoch }, undefined));
  }

  #offer(
    { network, id }: RecordName,
    known: Known,
    { password, changes }: { password: Secret | undefined; changes: Change[] },
  ): void {
    const { to: address, epoch, secretId: before } = known;
    known.secretId = password?.id;
    if (before !== undefined && before !== password?.id) {
      this.#delivered.delete(secretKey(network, id, before)); // The store has heard of it.
    }
    if (address === undefined) return;
    const place = { network, address, epoch };
    const key = keyOf(network, address);
    if (password === undefined) {
      if (before === undefined) return;
      if (this.#waiting.get(key)?.instance === id) this.#waiting.delete(key);
      changes.push(offer(place, undefined));
      return;
    }
    this.#ledger.delete(key);
    if (this.#delivered.has(secretKey(network, id, password.id))) return;
    this.#waiting.set(key, { instance: id, epoch, secretId: password.id });
    changes.push(offer(place, password));
  }

  #keep(network: NetworkId, id: string, known: Known): void {
    let records = this.#known.get(network);
    if (records === undefined) {
      records = new Map();
      this.#known.set(network, records);
    }
    records.set(id, known);
  }

  #forget({ network, id }: RecordName, { to, secretId }: Known): void {
    const records = this.#known.get(network);
    records?.delete(id);
    if (records?.size === 0) this.#known.delete(network);
    if (secretId === undefined) return;
    this.#delivered.delete(secretKey(network, id, secretId));
    if (to === undefined) return;
    const key = keyOf(network, to);
    if (this.#waiting.get(key)?.instance === id) this.#waiting.delete(key);
  }
}

const NOTHING = {
  ...{ addresses: [], epoch: 0, to: undefined, secretId: undefined, revision: 0 },
  isAdopted: false,
};

const NOBODY = { instance: undefined, epoch: 0 };

/** Neither a network's id nor an instance's holds NUL. */
const keyOf = (network: NetworkId, address: Ip): string => `${network}\0${address}`;

function secretKey(network: NetworkId, instance: string, secretId: string): string {
  return `${network}\0${instance}\0${secretId}`;
}

function deletion(network: NetworkId, address: Ip): Change {
  return { kind: "delete", network, address };
}

/** Stated, so that after a restart the same secret is known to be the one that was stated. */
function offer(at: Epoch, secret: Secret | undefined): Change {
  const { network, address, epoch } = at;
  const how = { via: VIA_STORE, standing: secret !== undefined };
  const of = secret === undefined ? {} : { of: secret.id };
  const password = secret?.password;
  return { kind: "password", network, address, epoch, password, ...how, ...of };
}
