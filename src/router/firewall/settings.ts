/**
 * What the router's own firewall is made of: the networks, what we listen on, who leased what.
 *
 * Checked once, here: what comes out of `checked` can be written as nftables' text word by word.
 */

import { overlap } from "../../config/ranges.ts";
import { type Cidr, contains, type Ip, isLinkLocal, type Mac } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import { ConfigError, quote } from "../../model/errors.ts";
import type { Pin } from "../../platform/neighbour-pins.ts";

/** What to do about a guest whose MAC address is not the one of its lease. */
export type MacEvidence = "off" | "audit" | "enforce";

/** What one guest may do. A guest is a MAC address where there is one, and an address. */
export interface GuestLimits {
  /** Connections that may be open at a time. */
  readonly maxConnections: number;
  /** Connections that may be opened in a second. */
  readonly newPerSecond: number;
}

/**
 * Where nobody says otherwise. A boot asks 30 times at most, each on a connection of its own, and
 * some clients hold one open.
 */
export const GUEST_LIMITS: GuestLimits = { maxConnections: 64, newPerSecond: 50 };

/** Which network it is of, its device says, or else its address. */
export interface Lease {
  readonly address: Ip;
  readonly mac: Mac;
  /** Where the address was learnt, if no lease tells of it: it holds on this device only. */
  readonly device?: string;
}

export interface HostPort {
  readonly host: Ip;
  readonly port: number;
}

export interface FirewallNetwork {
  readonly id: NetworkId;
  readonly cidrs: readonly Cidr[];
  /** Where its guests are; empty where that is not known, and then any device is right. */
  readonly devices: readonly string[];
  /** Its guests may be behind a router of their own, so their MAC addresses say nothing. */
  readonly routed: boolean;
  readonly macEvidence: MacEvidence;
  readonly guests?: Partial<GuestLimits>;
  /** Hops that a reply may take. */
  readonly hopLimit?: number;
}

export interface FirewallSettings {
  readonly networks: readonly FirewallNetwork[];
  /** What guests ask for metadata, and for passwords. */
  readonly listen: readonly HostPort[];
  readonly passwordListen: readonly HostPort[];
  /** Absent where it is a unix socket. */
  readonly admin?: HostPort;
  /** Who may reach the admin listener, and what guests may not reach through us. */
  readonly managementCidrs: readonly Cidr[];
  readonly guests: GuestLimits;
  readonly hopLimit?: number;
  readonly leases: readonly Lease[];
}

/** What the kernel allows, without the characters that mean something to nft. */
const DEVICE = /^[A-Za-z0-9_.:@+-]{1,15}$/;

/**
 * The same settings, or an error.
 *
 * @throws {ConfigError} if a network has no ranges or shares one, or a device has an odd name.
 */
export function checked(settings: FirewallSettings): FirewallSettings {
  if (settings.networks.length === 0) throw new ConfigError("the firewall needs a network");
  if (settings.listen.length + settings.passwordListen.length === 0) {
    throw new ConfigError("the firewall needs to know what the router listens on");
  }
  for (const { id, cidrs, devices, hopLimit } of settings.networks) {
    const name = `network ${quote(id)}`;
    if (cidrs.length === 0) {
      throw new ConfigError(`${name} has no address ranges, so everybody would be outside`);
    }
    for (const device of devices) {
      if (DEVICE.test(device)) continue;
      throw new ConfigError(`${name}: ${quote(device)} is not the name of a device`);
    }
    if (hopLimit !== undefined) checkHops(hopLimit, name);
  }
  if (settings.hopLimit !== undefined) checkHops(settings.hopLimit, "the firewall");
  const limits = [settings.guests, ...settings.networks.map(({ guests }) => guests ?? {})];
  for (const value of limits.flatMap((each) => Object.values(each))) {
    if (Number.isInteger(value) && value >= 1 && value <= 1_000_000) continue;
    throw new ConfigError("a limit for guests is a whole number from 1 to 1,000,000");
  }
  const [first, second] =
    overlap(
      settings.networks.flatMap(({ id, cidrs }, index) =>
        cidrs.map((cidr) => ({ cidr, owner: String(index), tag: id })),
      ),
    ) ?? [];
  if (first !== undefined && second !== undefined) {
    const both = `${first.cidr.text} of network ${quote(first.tag)}`;
    throw new ConfigError(`${second.cidr.text} of network ${quote(second.tag)} overlaps ${both}`);
  }
  return settings;
}

function checkHops(hops: number, name: string): void {
  if (Number.isInteger(hops) && hops >= 1 && hops <= 255) return;
  throw new ConfigError(`${name}: a hop limit is a whole number from 1 to 255`);
}

/** Whether the kernel checks the MAC addresses of this network's leases. */
export function isEnforced({ macEvidence, routed }: FirewallNetwork): boolean {
  return macEvidence === "enforce" && !routed;
}

/** Which of the networks an address belongs to: the one whose range holds it, on its device. */
export type FindNetwork = (address: Ip, device?: string) => FirewallNetwork | undefined;

/** Prepares the search, because there are thousands of leases. IPv4 needs no big numbers. */
export function networkFinder(networks: readonly FirewallNetwork[]): FindNetwork {
  const ranges = networks.flatMap((network) => network.cidrs.map((cidr) => ({ network, cidr })));
  const v4 = ranges.filter(({ cidr }) => cidr.version === 4);
  const numbers = v4.map(({ network, cidr: { first, last } }) => ({
    ...{ network, first: Number(first), last: Number(last) },
  }));
  const v6 = ranges.filter(({ cidr }) => cidr.version === 6);
  return (address, device) => {
    if (device !== undefined) {
      // As the table has it: an address of the link itself is of the first network there.
      const there = networks.filter(({ devices }) => devices.includes(device));
      if (isLinkLocal(address)) return there[0];
      return there.find(({ cidrs }) => cidrs.some((cidr) => contains(cidr, address)));
    }
    if (address.includes(":")) {
      return v6.find(({ cidr }) => contains(cidr, address))?.network;
    }
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    return numbers.find(({ first, last }) => first <= number && number <= last)?.network;
  };
}

/** The leases that the kernel checks, one for each place: those in networks that enforce them. */
export function enforcedLeases({
  leases,
  networks,
}: Pick<FirewallSettings, "leases" | "networks">): readonly EnforcedLease[] {
  const find = networkFinder(networks);
  const enforced = new Map<string, EnforcedLease>();
  for (const lease of leases) {
    const network = find(lease.address, lease.device);
    if (network !== undefined && isEnforced(network)) {
      enforced.set(placeOf(lease), { ...lease, network });
    }
  }
  return [...enforced.values()];
}

/** What tells an address that was learnt on a device from the same one elsewhere. */
export function placeOf({ address, device }: Pick<Lease, "address" | "device">): string {
  return device === undefined ? address : `${address}%${device}`;
}

export interface EnforcedLease extends Lease {
  readonly network: FirewallNetwork;
}

/** The permanent neighbours for them, where the device is known. */
export function pinsOf(leases: readonly EnforcedLease[]): readonly Pin[] {
  return leases.flatMap((lease) =>
    pinDevices(lease, lease.network).map((device) => ({ ...lease, device })),
  );
}

/** The devices on which an address has its owner's MAC address, and no other. */
export function pinDevices(
  { device }: Pick<Lease, "device">,
  { devices }: FirewallNetwork,
): readonly string[] {
  return device === undefined ? devices : [device];
}
