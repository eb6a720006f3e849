/**
 * Keys that follow the record: their values are its name, its id, its zone or an address of a NIC.
 *
 * A record holds them as it holds every other, so a value alone does not say whether it was given
 * or made. What is read says them twice, in `keys` and in `derived`: what is sent back so is made
 * anew, and what was changed in `keys` is given. So the body alone decides, however often it is
 * sent. Pure.
 */

import { isIP } from "node:net";
import type { KeyValue } from "../../model/binding.ts";
import type { InstanceRecord, RecordNic } from "../../model/record.ts";

type Described = Pick<InstanceRecord, "id" | "name" | "zone">;
type Addressed = Pick<RecordNic, "addresses"> | undefined;
type Value = string | null;

/** An empty value is a key that is not there, and keeps its place. */
const ipv4Of = (nic: Addressed): string => nic?.addresses.find((one) => isIP(one) === 4) ?? "";

const ADDRESS_NAMES = ["local-ipv4", "public-ipv4"] as const;
const OF_RECORD = {
  "availability-zone": ({ zone }) => zone ?? null,
  "local-hostname": ({ name }) => name,
  "public-hostname": ({ name }) => name,
  "instance-id": ({ id }) => id,
  "vm-id": ({ id }) => id,
} as const satisfies Readonly<Record<string, (of: Described) => Value>>;

export type DerivedName = keyof typeof OF_RECORD | (typeof ADDRESS_NAMES)[number];

export const DERIVED_NAMES: readonly DerivedName[] = [
  ...(Object.keys(OF_RECORD) as (keyof typeof OF_RECORD)[]),
  ...ADDRESS_NAMES,
];

/** @returns `undefined` for a name that follows nothing */
function derivedValue(name: string, record: Described, nic: Addressed): Value | undefined {
  if (isAddress(name)) return ipv4Of(nic);
  if (!Object.hasOwn(OF_RECORD, name)) return undefined;
  return OF_RECORD[name as keyof typeof OF_RECORD](record);
}

function isAddress(name: string): boolean {
  return (ADDRESS_NAMES as readonly string[]).includes(name);
}

/** The NIC whose address stands in the record's own keys. */
function mainOf<Nic extends { readonly default: boolean }>(nics: readonly Nic[]): Nic | undefined {
  return nics.find((nic) => nic.default) ?? nics[0];
}

/** Derived keys, with the values that they have. */
export type Derived = { [Name in DerivedName]?: Value };

/** Those of the record's own keys that follow it. */
export function derivedOf(record: InstanceRecord): Derived {
  const main = mainOf(record.nics);
  // An address that several NICs share was given: one of them has another.
  const isEach = (name: string): boolean =>
    record.nics.every((nic) => nic === main || has(nic.keys, name));
  return derivedAmong(
    record.keys.filter(([name]) => !isAddress(name) || isEach(name)),
    { record, nic: main },
  );
}

/** Those of a NIC's keys. */
export function derivedAt(record: InstanceRecord, nic: RecordNic): Derived {
  return derivedAmong(nic.keys ?? [], { record, nic });
}

function derivedAmong(
  keys: readonly KeyValue[],
  { record, nic }: { readonly record: Described; readonly nic: Addressed },
): Derived {
  return Object.fromEntries(
    keys.filter(([name, value]) => value === derivedValue(name, record, nic)),
  );
}

function has(keys: readonly KeyValue[] | undefined, name: string): boolean {
  return keys?.some((key) => key[0] === name) === true;
}

/** For who gives no keys: CloudStack's own, in its order. */
export const STANDARD_KEYS: readonly KeyValue[] = [
  ["service-offering", null],
  ["availability-zone", null],
  ["local-ipv4", null],
  ["local-hostname", null],
  ["instance-id", null],
  ["vm-id", null],
  ["public-keys", null],
];

/** All of them that follow something, as they stand there. */
export const STANDARD_DERIVED: Derived = Object.fromEntries(
  DERIVED_NAMES.map((name) => [name, null]),
);

/** What a body says is derived: among the record's own keys, and among each NIC's. */
export interface Following {
  readonly derived?: Derived | undefined;
  readonly nics: readonly { readonly derived?: Derived | undefined }[];
}

/**
 * The record with what follows it made anew. Where an address does, each NIC gets its own.
 *
 * @param record as the body has it, its NICs in the body's order
 */
export function derivedAnew(
  record: InstanceRecord,
  { derived = {}, nics }: Following,
): InstanceRecord {
  const main = mainOf(record.nics);
  const anew = (keys: readonly KeyValue[], as: Derived, nic: Addressed): KeyValue[] =>
    keys.map((key) => {
      const value = follows(key, as) ? derivedValue(key[0], record, nic) : undefined;
      return value === undefined ? key : [key[0], value];
    });
  const addresses = record.keys.filter((key) => isAddress(key[0]) && follows(key, derived));
  return {
    ...record,
    keys: anew(record.keys, derived, main),
    nics: record.nics.map((nic, index) => {
      const lacking = nic === main ? [] : addresses.filter(([name]) => !has(nic.keys, name));
      if (nic.keys === undefined && lacking.length === 0) return nic;
      const own = lacking.map(([name]): KeyValue => [name, ipv4Of(nic)]);
      return { ...nic, keys: [...own, ...anew(nic.keys ?? [], nics[index]?.derived ?? {}, nic)] };
    }),
  };
}

/** Whether a key has still the value that it was read with. */
function follows([name, value]: KeyValue, derived: Derived): boolean {
  return Object.hasOwn(derived, name) && derived[name as DerivedName] === value;
}
