/**
 * What holds for which network: what the configuration says of it, joined with what the source
 * knows, and with the devices that it lies on.
 */

import { overlap } from "../config/ranges.ts";
import type { HostsMode } from "../config/settings.ts";
import { type Cidr, contains, type Ip, parseCidr, parseIp } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";
import type { Network } from "../model/change.ts";
import { findDevices } from "../platform/devices.ts";
import type { FirewallNetwork, GuestLimits, MacEvidence } from "./firewall/settings.ts";

/** What the operator said of a network. */
export interface GivenNetwork {
  readonly id: NetworkId;
  /** Empty: those that the source knows. */
  readonly cidrs: readonly string[];
  readonly macEvidence: MacEvidence;
  readonly routed: boolean;
  readonly hosts?: HostsMode;
  readonly guests?: Partial<GuestLimits>;
  readonly hopLimit?: number;
  /** Files of leases, as dnsmasq writes them. */
  readonly leaseFiles: readonly string[];
}

export interface Policy extends FirewallNetwork {
  readonly hosts?: HostsMode;
}

/** Where nobody else is: a MAC address says nothing there. */
const LOOPBACK = ["127.0.0.0/8", "::1/128"].map(parseCidr);

export function isLoopback(address: Ip): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** Whether guests of a network are asked for their MAC address. */
export function comparesMac({ macEvidence, routed }: Policy): boolean {
  return macEvidence !== "off" && !routed;
}

/**
 * The policy of each network. One of the configuration is about the network of the source that has
 * its id, or else shares a range with it; what is left of it is a network of its own. The source
 * knows the ranges of a network best; the configuration adds those of an IP version of which the
 * source says nothing, as databags say nothing of IPv6.
 *
 * @param devices the devices that lie in a range
 */
export function policiesOf(
  given: readonly GivenNetwork[],
  networks: readonly Network[],
  devices: (cidrs: readonly Cidr[]) => readonly string[] = findDevices(),
): readonly Policy[] {
  const used = new Set<GivenNetwork>();
  const policies = networks.map(({ id, cidrs: texts }): Policy => {
    const known = texts.map(parseCidr);
    const own = given.find((each) => each.id === id) ?? given.find((each) => meets(each, known));
    // What is given once belongs to one network.
    const more = own === undefined || used.has(own) ? [] : own.cidrs.map(parseCidr);
    if (own !== undefined) used.add(own);
    const cidrs = [...known, ...more.filter(({ version }) => !hasVersion(known, version))];
    return policy(id, own, cidrs, devices(cidrs));
  });
  for (const own of given) {
    if (used.has(own) || own.cidrs.length === 0) continue;
    const cidrs = own.cidrs.map(parseCidr);
    policies.push(policy(own.id, own, cidrs, devices(cidrs)));
  }
  return policies;
}

function hasVersion(cidrs: readonly Cidr[], version: 4 | 6): boolean {
  return cidrs.some((cidr) => cidr.version === version);
}

function policy(
  id: NetworkId,
  given: GivenNetwork | undefined,
  cidrs: readonly Cidr[],
  devices: readonly string[],
): Policy {
  const usual: MacEvidence = cidrs.length > 0 && cidrs.every(isWithinLoopback) ? "off" : "audit";
  const { hosts, guests, hopLimit } = given ?? {};
  return {
    ...{ id, cidrs, devices },
    ...{ macEvidence: given?.macEvidence ?? usual, routed: given?.routed ?? false },
    ...(hosts !== undefined && { hosts }),
    ...(guests !== undefined && { guests }),
    ...(hopLimit !== undefined && { hopLimit }),
  };
}

function meets({ cidrs }: GivenNetwork, known: readonly Cidr[]): boolean {
  const all = [
    ...cidrs.map((text) => ({ cidr: parseCidr(text), owner: "given", tag: text })),
    ...known.map((cidr) => ({ cidr, owner: "known", tag: cidr.text })),
  ];
  return overlap(all) !== undefined;
}

function isWithinLoopback(cidr: Cidr): boolean {
  const first = parseIp(cidr.text.split("/", 1)[0] ?? "");
  return LOOPBACK.some(
    (range) => contains(range, first) && cidr.last <= range.last && cidr.version === range.version,
  );
}
