/**
 * Which keys a record stands for, and in which order: CloudStack's own, so that a lab's guest sees
 * the listing that it would see on a virtual router.
 */

import { isIP } from "node:net";
import type { Ip } from "../../model/address.ts";
import type { KeyValue } from "../../model/binding.ts";
import { KEYS } from "../../protocol/keys.ts";
import type { FileRecord } from "./schema.ts";

/** Where keys stand that CloudStack does not know: those of the operator. */
const OWN = "";

/** CloudStack's order. A key that is given replaces the derived one in its place. */
const ORDER: readonly string[] = Object.keys(KEYS).flatMap((name) =>
  name === "local-hostname" ? [name, OWN] : [name],
);

/** What a record says about keys. */
export type KeyFields = Pick<
  FileRecord,
  "id" | "name" | "zone" | "serviceOffering" | "publicKeys" | "keys" | "standardKeys"
>;

/** The keys of `record` at a NIC with `addresses`: `local-ipv4` is the first IPv4 among them. */
export function keysOf(record: KeyFields, addresses: readonly Ip[]): KeyValue[] {
  const given = pairs(record.keys);
  if (record.standardKeys === false) return given;
  const own = given.filter(([name]) => !ORDER.includes(name));
  const standard = new Map<string, string | null>([...derived(record, addresses), ...given]);
  return ORDER.flatMap((name) => {
    if (name === OWN) return own;
    const value = standard.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
}

/** What CloudStack would say; `null` where it would list a key without a value. */
function derived(record: KeyFields, addresses: readonly Ip[]): KeyValue[] {
  const ipv4 = addresses.find((address) => isIP(address) === 4);
  const publicKeys = record.publicKeys ?? [];
  return [
    // cloud-init and cloudbase-init look for these two, whatever they say.
    ["service-offering", record.serviceOffering ?? null],
    ["availability-zone", record.zone ?? null],
    ...(ipv4 === undefined ? [] : [["local-ipv4", ipv4] as const]),
    ["local-hostname", record.name],
    ["instance-id", record.id],
    ["vm-id", record.id],
    ["public-keys", publicKeys.length === 0 ? null : publicKeys.join("\n")],
  ];
}

function pairs(keys: KeyFields["keys"]): KeyValue[] {
  if (keys === undefined) return [];
  return Array.isArray(keys) ? keys : Object.entries(keys);
}
