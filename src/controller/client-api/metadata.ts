/**
 * The keys of an instance, as CloudStack's management server sends them to a router, in its order.
 *
 * Every network of a lab is a shared one: an instance's own address is its public one.
 */

import type { Ip } from "../../model/address.ts";
import { KEY_NAME, type KeyValue } from "../../model/binding.ts";
import { escaped } from "../../source/cloudstack/keys.ts";
import { CLOUD_ID, ZONE } from "./catalogue.ts";
import { refuse } from "./errors.ts";

type Pairs = readonly (readonly [name: string, value: string])[];

export interface Described {
  readonly id: string;
  readonly name: string;
  readonly offering: string;
  /** Absent in a network of IPv6 only. */
  readonly ipv4: Ip | undefined;
  readonly details: Pairs;
}

export function metadataKeys({ id, name, offering, ipv4, details }: Described): KeyValue[] {
  const keys: (readonly [string, string | null | undefined])[] = [
    ["service-offering", escaped(offering)],
    ["availability-zone", escaped(ZONE.name)],
    ["local-ipv4", ipv4],
    ["local-hostname", escaped(name)],
    ...details.map(([key, value]) => [key, escaped(value)] as const),
    ["public-ipv4", ipv4],
    ["public-hostname", escaped(name)],
    ["instance-id", id],
    ["vm-id", id],
    // The keys themselves stand in the record's `publicKeys`.
    ["public-keys", null],
    ["cloud-identifier", `CloudStack-{${CLOUD_ID}}`],
    ["hypervisor-host-name", null],
  ];
  return keys.filter((key): key is KeyValue => key[1] !== undefined && key[1] !== "");
}

/** Names that are the service's own. */
const OWN: ReadonlySet<string> = new Set([
  ...metadataKeys({ id: "i", name: "n", offering: "o", ipv4: "1.1.1.1" as Ip, details: [] }).map(
    ([name]) => name,
  ),
  "cloud-domain",
  "cloud-domain-id",
  "cloud-name",
]);

/** @throws {ClientApiError} 431 if a guest could not be shown one of them under its name. */
export function checkDetails(details: Pairs): Pairs {
  for (const [name, value] of details) {
    if (!KEY_NAME.test(name)) {
      const rule = "letters, digits, dot, dash and underscore, 64 characters at most";
      throw refuse("parameter", `userdatadetails: a name is not well formed (${rule})`);
    }
    if (OWN.has(name)) throw refuse("parameter", "userdatadetails: a name is a key of the service");
    if (value.includes(",")) throw refuse("parameter", "userdatadetails: a value has a comma");
  }
  return details;
}

/** The keys with other details, in the place of the former ones. */
export function withDetails(keys: readonly KeyValue[], before: Pairs, after: Pairs): KeyValue[] {
  const gone = new Set(before.map(([name]) => name));
  const rest = keys.filter(([name]) => !gone.has(name) || OWN.has(name));
  const at = rest.findIndex(([name]) => name === "local-hostname") + 1;
  const added = after.map(([name, value]): KeyValue => [name, escaped(value)]);
  const named = new Set(added.map(([name]) => name));
  const kept = (key: KeyValue): boolean => !named.has(key[0]);
  return [...rest.slice(0, at).filter(kept), ...added, ...rest.slice(at).filter(kept)].filter(
    ([, value]) => value !== "",
  );
}

/**
 * The keys of an instance that is called otherwise. A name that was given stays; one that follows
 * the instance's may be the operator API's, which writes it as it is.
 */
export function renamed(keys: readonly KeyValue[], before: string, after: string): KeyValue[] {
  return keys.map(([name, value]): KeyValue => {
    const isName = name === "local-hostname" || name === "public-hostname";
    const follows = isName && (value === before || value === escaped(before));
    return [name, follows ? escaped(after) : value];
  });
}
