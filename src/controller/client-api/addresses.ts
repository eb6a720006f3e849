/**
 * Addresses of a network: what its NICs say of it, and which one is the next to be given.
 */

import { Address4, Address6 } from "ip-address";
import {
  type Cidr,
  contains,
  type Ip,
  parseCidr,
  parseIp,
  tryParseIp,
} from "../../model/address.ts";
import type { Network } from "../../model/change.ts";
import { refuse } from "./errors.ts";

export interface Range {
  readonly cidr: string;
  readonly gateway: Ip;
  /** Of IPv4 only. */
  readonly netmask: string | undefined;
}

/** The range of a network that an address lies in; the first one without an address. */
export function rangeOf(network: Network | undefined, address?: Ip): Range | undefined {
  const cidrs = (network?.cidrs ?? []).map(parseCidr);
  const cidr = cidrs.find((cidr) => address === undefined || contains(cidr, address));
  if (cidr === undefined) return undefined;
  const gateway = textOf(cidr, hasHosts(cidr) ? cidr.first + 1n : cidr.first);
  const netmask = cidr.version === 4 ? new Address4(cidr.text).subnetMask : undefined;
  return { cidr: cidr.text, gateway, netmask: netmask === undefined ? undefined : dotted(netmask) };
}

/** Where to look for a free address. */
export interface Search {
  readonly taken: ReadonlySet<string>;
  /** The lowest that may be given, where it is not the first after the gateway. */
  readonly first?: string;
  /** The one that was given last: the search goes on behind it, and begins anew at the end. */
  readonly last?: string | undefined;
}

/**
 * An address of a network that nobody has, of its first range.
 *
 * @throws {ClientApiError} 431 if the network has no range, 533 if all are taken.
 */
export function nextFree(network: Network, { taken, first, last }: Search): Ip {
  const cidr = network.cidrs.map(parseCidr)[0];
  if (cidr === undefined) {
    throw refuse("parameter", "The network has no range of addresses; choose one with ipaddress");
  }
  const within = (text: string | undefined): bigint | undefined => {
    const address = tryParseIp(text);
    return address !== undefined && contains(cidr, address) ? numberOf(address) : undefined;
  };
  const low = within(first) ?? cidr.first + firstHost(cidr);
  const high = cidr.version === 4 && hasHosts(cidr) ? cidr.last - 1n : cidr.last;
  const behind = (within(last) ?? low - 1n) + 1n;
  const start = behind > low ? behind : low;
  // Each is looked at once: there are no more steps than addresses that are taken, and one.
  const free = freeFrom(cidr, start, high, taken) ?? freeFrom(cidr, low, start - 1n, taken);
  if (free === undefined) throw refuse("capacity", "Every address of the network is taken");
  return free;
}

function freeFrom(
  cidr: Cidr,
  from: bigint,
  to: bigint,
  taken: ReadonlySet<string>,
): Ip | undefined {
  for (let number = from; number <= to; number++) {
    const address = textOf(cidr, number);
    if (!taken.has(address)) return address;
  }
  return undefined;
}

/** Whether an address may be a guest's in a network. A network without ranges has any. */
export function belongs(network: Network, address: Ip): boolean {
  return (
    network.cidrs.length === 0 || network.cidrs.some((cidr) => contains(parseCidr(cidr), address))
  );
}

/** Ranges of two addresses or fewer are links without a gateway. */
function hasHosts({ first, last }: Cidr): boolean {
  return last - first > 1n;
}

/** After the network's own and the gateway's address. */
function firstHost(cidr: Cidr): bigint {
  return hasHosts(cidr) ? 2n : 0n;
}

function numberOf(address: Ip): bigint {
  return address.includes(":") ? new Address6(address).bigInt() : new Address4(address).bigInt();
}

function textOf({ version }: Cidr, number: bigint): Ip {
  const address = version === 4 ? Address4.fromBigInt(number) : Address6.fromBigInt(number);
  return parseIp(address.correctForm());
}

function dotted(prefix: number): string {
  const bits = prefix === 0 ? 0n : (0xffffffffn << BigInt(32 - prefix)) & 0xffffffffn;
  return Address4.fromBigInt(bits).correctForm();
}
