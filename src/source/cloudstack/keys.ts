/**
 * Which metadata keys an instance has at one of its NICs, and in which order: those that
 * CloudStack's router would send, in the order in which it sends them.
 */

import type { KeyValue } from "../../model/binding.ts";
import {
  accountName,
  type Cloud,
  type CloudNic,
  type Instance,
  type PublicAddress,
} from "./cloud.ts";

/** The keys whose values differ between NICs of one network. */
export const NIC_KEYS: readonly string[] = ["local-ipv4", "public-ipv4", "public-hostname"];

/**
 * Pure; O(keys). Names are unique: of two the later value counts, in the place of the first, as
 * where each is written to a file of its name.
 */
export function keysOf(
  instance: Instance,
  nic: CloudNic,
  cloud: Cloud,
  publicAddress: string | undefined,
): KeyValue[] {
  const keys = new Map<string, string | null>();
  const add = (name: string, value: string | null | undefined): void => {
    if (value !== undefined) keys.set(name, value);
  };
  add("service-offering", escaped(offeringOf(instance, cloud)));
  add("availability-zone", escaped(instance.zonename));
  add("local-ipv4", nic.ipaddress);
  add("local-hostname", escaped(instance.name));
  for (const [name, value] of detailsOf(instance.userdatadetails)) add(name, escaped(value));
  if (isShared(nic, cloud)) {
    add("public-ipv4", nic.ipaddress);
    add("public-hostname", escaped(instance.name));
  } else {
    add("public-ipv4", publicAddress);
    add("public-hostname", publicAddress);
  }
  add("instance-id", instance.id);
  add("vm-id", instance.id);
  // The keys themselves stand in the record's `publicKeys`.
  add("public-keys", null);
  add("cloud-identifier", cloud.identifier && `CloudStack-{${cloud.identifier}}`);
  add("hypervisor-host-name", hostOf(instance, cloud) ?? null);
  const { domainid = "" } = instance;
  if (cloud.exposed.domains.has(domainid)) {
    add("cloud-domain", instance.domain);
    add("cloud-domain-id", domainid);
  }
  add("cloud-name", cloud.exposed.cloudNames.get(instance.zoneid ?? ""));
  // The empty value is the key that is not there.
  return [...keys].filter(([, value]) => value !== "");
}

/** CloudStack writes what is not ASCII as `\uXXXX`, by UTF-16 unit, in letters that are capital. */
export function escaped(value: string): string;
export function escaped(value: string | undefined): string | undefined;
export function escaped(value: string | undefined): string | undefined {
  return value?.replace(/[^\0-\x7f]/g, (unit) => {
    const hex = unit.charCodeAt(0).toString(16).toUpperCase();
    return `\\u${hex.padStart(4, "0")}`;
  });
}

/**
 * The pairs of `{k=v, k2=v2}`, as CloudStack takes them apart: at each comma, and at the first
 * equals sign between two.
 */
export function detailsOf(text: string | undefined): [name: string, value: string][] {
  if (text === undefined) return [];
  const inner = text.trim().replace(/^\{(.*)\}$/s, "$1");
  return inner.split(",").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at < 1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]];
  });
}

export function offeringOf(instance: Instance, cloud: Cloud): string | undefined {
  const { serviceofferingid: id = "", serviceofferingname: name } = instance;
  return cloud.offerings.get(id) ?? name;
}

/** In a shared network, and so in a Basic zone, an instance's own address is its public one. */
function isShared(nic: CloudNic, cloud: Cloud): boolean {
  return (cloud.networks.get(nic.networkid ?? "")?.type ?? nic.type) === "Shared";
}

function hostOf({ domainid, account, hostname }: Instance, cloud: Cloud): string | undefined {
  return cloud.exposed.hosts.has(accountName(domainid, account)) ? hostname : undefined;
}

/** Answers the public address of an instance's NIC, where it is not in a shared network. */
export type PublicAddressOf = (instance: string, nic: CloudNic) => string | undefined;

/**
 * That of its own static NAT in this network, else the one behind which the network or its VPC is.
 * O(addresses) once, then O(1).
 */
export function publicAddressOf(cloud: Cloud): PublicAddressOf {
  const own = new Map<string, PublicAddress[]>();
  const shared = new Map<string, string>();
  const byId = (a: PublicAddress, b: PublicAddress): number =>
    (a.id ?? "") < (b.id ?? "") ? -1 : 1;
  for (const address of [...(cloud.publicAddresses ?? [])].sort(byId)) {
    const { ipaddress, state, virtualmachineid, vpcid, associatednetworkid } = address;
    if (ipaddress === undefined || state !== "Allocated") continue;
    if (address.isstaticnat === true && virtualmachineid !== undefined) {
      own.set(virtualmachineid, [...(own.get(virtualmachineid) ?? []), address]);
    } else if (address.issourcenat === true) {
      const behind = associatednetworkid ?? vpcid;
      if (behind !== undefined && !shared.has(behind)) shared.set(behind, ipaddress);
    }
  }
  return (instance, nic) => {
    const { networkid = "" } = nic;
    const at = (own.get(instance) ?? []).filter((address) => isOf(address, nic));
    const natted = at.find(({ vmipaddress }) => vmipaddress === nic.ipaddress) ?? at[0];
    const vpcid = cloud.networks.get(networkid)?.vpcid ?? "";
    return natted?.ipaddress ?? shared.get(networkid) ?? shared.get(vpcid);
  };
}

/** Whether a static NAT leads to the NIC: in its network, or, where that is not said, to it. */
function isOf({ associatednetworkid, vmipaddress }: PublicAddress, nic: CloudNic): boolean {
  if (associatednetworkid !== undefined) return associatednetworkid === nic.networkid;
  return vmipaddress !== undefined && [nic.ipaddress, ...nic.secondary].includes(vmipaddress);
}
