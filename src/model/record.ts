/**
 * What a store keeps of an instance: one record for each instance and network.
 *
 * A record is complete: it holds everything that answers its guest, and nothing is derived later
 * from a setting. (network, id) is its name; (network, address) belongs to one record at a time,
 * which the store sees to. `parseRecord` makes records and nothing else does, so that what is kept
 * is known to be well formed.
 */

import type { Ip, Mac } from "./address.ts";
import type { Binding, Body, KeyValue, NetworkId, Writable } from "./binding.ts";
import { isAtHand, type Payload, type PayloadRef } from "./payload.ts";

/** One NIC of the instance in the record's network. */
export interface RecordNic {
  readonly mac?: Mac;
  /** All of them answer. Empty while it has none, and so nothing answers for it. */
  readonly addresses: readonly Ip[];
  /** The NIC that a password is delivered to. One NIC at most says true. */
  readonly default: boolean;
  /**
   * What differs at this NIC. A name that stands in the record's `keys` takes that one's place; any
   * other comes after them. So a record that gives several NICs one order names the key in `keys`
   * with the value `""`, which is a key that is not there, and each NIC fills it or does not.
   */
  readonly keys?: readonly KeyValue[];
}

/** A password that waits for its guest. */
export interface Secret {
  /** Of its maker, never used for another password: an acknowledgement names it. Not a secret. */
  readonly id: string;
  readonly password: string;
}

export interface InstanceRecord {
  readonly network: NetworkId;
  /** The instance's id (CloudStack: the VM's UUID). */
  readonly id: string;
  /** The instance's host name, for people. */
  readonly name: string;
  /** For people and listings; a guest sees only what stands in the keys. */
  readonly account?: string;
  readonly project?: string;
  readonly zone?: string;
  readonly template?: string;
  readonly nics: readonly RecordNic[];
  /** All that is served, in order; a NIC may replace or add. For `public-keys` see `publicKeys`. */
  readonly keys: readonly KeyValue[];
  /** Decoded bytes. What a store answers may lie in the store: `userDataOf` has both. */
  readonly userData?: Body;
  /**
   * What its guest may fetch beside the user data, and no other guest. A store has the content;
   * a router takes it before it shows the record, and shows only what it has.
   */
  readonly payloads?: readonly (PayloadRef | Payload)[];
  /**
   * SSH keys, one an entry: the value of the key `public-keys`, in the place that `keys` gives it,
   * else at the end. Where there are none, `public-keys` is served as `keys` has it.
   */
  readonly publicKeys: readonly string[];
  /** The password that waits. Gone when the guest has acknowledged it. */
  readonly password?: Secret;
  /** Which installation of the instance: rises when it is installed anew. From 1. */
  readonly incarnation: number;
  /**
   * The installation whose guest an operator has closed user data, payloads and password for. The
   * record is sealed while this is its `incarnation`: another installation opens it.
   */
  readonly sealedIncarnation?: number;
  /**
   * Which binding of its addresses to the instance. A writer gives the least that it must be; the
   * store raises it so that no address has an epoch twice. From 1.
   */
  readonly epoch: number;
}

/** What names a record. */
export interface RecordName {
  readonly network: NetworkId;
  readonly id: string;
}

/** A record with the revision of the store that it was written in. */
export interface StoredRecord {
  readonly record: InstanceRecord;
  readonly revision: number;
}

const PUBLIC_KEYS = "public-keys";

/** The keys that a NIC of the record serves, in order. */
export function keysAt(record: InstanceRecord, nic: RecordNic): KeyValue[] {
  const own = nic.keys ?? [];
  const keys = own.length === 0 ? [...record.keys] : merged(record.keys, own);
  if (record.publicKeys.length === 0) return keys;
  const value: KeyValue = [PUBLIC_KEYS, record.publicKeys.join("\n")];
  const at = keys.findIndex(([name]) => name === PUBLIC_KEYS);
  if (at === -1) keys.push(value);
  else keys[at] = value;
  return keys;
}

function merged(keys: readonly KeyValue[], own: readonly KeyValue[]): KeyValue[] {
  const rest = new Map(own.map((key) => [key[0], key]));
  const replaced = keys.map((key) => {
    const other = rest.get(key[0]);
    rest.delete(key[0]);
    return other ?? key;
  });
  return [...replaced, ...rest.values()];
}

/**
 * Whether the guest is told no user data, no payload and no password: what comes into it later must
 * not read them.
 */
export function isSealed(
  record: Pick<InstanceRecord, "incarnation" | "sealedIncarnation">,
): boolean {
  return record.sealedIncarnation === record.incarnation;
}

/** The record as it is while it is sealed, until it is installed anew. */
export function sealed(record: InstanceRecord): InstanceRecord {
  return { ...record, sealedIncarnation: record.incarnation };
}

/** The record with everything for its guest. */
export function unsealed({ sealedIncarnation: _, ...record }: InstanceRecord): InstanceRecord {
  return record;
}

/**
 * What answers guests for a record: one binding for each address of each NIC, in order. Those of a
 * sealed one have no user data and no payloads.
 *
 * @param place where the record was read, for `why`: the store's name, never a value
 */
export function toBindings(record: InstanceRecord, place: string): Binding[] {
  const isClosed = isSealed(record);
  return record.nics.flatMap((nic) => {
    const keys = keysAt(record, nic);
    const payloads = record.payloads?.filter(isAtHand) ?? [];
    return nic.addresses.map((address) => {
      const binding: Writable<Binding> = {
        network: record.network,
        address,
        epoch: record.epoch,
        instance: record.id,
        name: record.name,
        keys,
        origin: { kind: "store", place },
      };
      if (nic.mac !== undefined) binding.mac = nic.mac;
      if (isClosed) binding.sealed = true;
      else {
        if (record.userData !== undefined) binding.userData = record.userData;
        if (payloads.length > 0) binding.payloads = payloads;
      }
      return binding;
    });
  });
}

/**
 * Where the password is delivered: over IPv4, to the default NIC. One address only, because a copy
 * at another would stay pending after the guest has acknowledged the first. Nowhere while the
 * record is sealed.
 */
export function passwordAddress(record: InstanceRecord): Ip | undefined {
  if (isSealed(record)) return undefined;
  const { nics } = record;
  const nic = nics.find((nic) => nic.default) ?? nics[0];
  return nic?.addresses.find((address) => !address.includes(":")) ?? nic?.addresses[0];
}

/** All addresses of a record, in order. */
export function addressesOf({ nics }: InstanceRecord): Ip[] {
  return nics.flatMap(({ addresses }) => addresses);
}

/** The user data itself, wherever it lies. Empty bytes and none at all are two things. */
export async function userDataOf({ userData }: InstanceRecord): Promise<Uint8Array | undefined> {
  return userData === undefined || userData instanceof Uint8Array ? userData : userData.read();
}

/**
 * Whether two records say the same.
 *
 * To leave something out of it, give both the same: `equal({ ...a, epoch: b.epoch }, b, hash)`.
 *
 * @param hash strong hash of bytes, the one that `StoredBody.hash` has: so no body is read for it
 */
export function equal(
  a: InstanceRecord,
  b: InstanceRecord,
  hash: (bytes: Uint8Array) => string,
): boolean {
  return sameBody(a.userData, b.userData, hash) && same(bare(a), bare(b));
}

function bare({ userData: _, ...rest }: InstanceRecord): object {
  return rest;
}

function sameBody(
  a: Body | undefined,
  b: Body | undefined,
  hash: (bytes: Uint8Array) => string,
): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  const hashOf = (body: Body): string => (body instanceof Uint8Array ? hash(body) : body.hash);
  return hashOf(a) === hashOf(b);
}

/** Of what JSON can say. A field that is `undefined` is a field that is not there. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => same(item, b[index]));
  }
  const [left, right] = [a as Fields, b as Fields];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => same(left[name], right[name]));
}

type Fields = Readonly<Record<string, unknown>>;
