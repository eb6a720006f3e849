/**
 * Every address at which the metadata service of this instance may be, without asking any.
 *
 * What files and the kernel say is there at once; names take as long as the resolver does.
 */

import { isIP, isIPv4 } from "node:net";
import { type Endpoint, endpointAt, HTTP_PORT, VIAS } from "./endpoint.ts";
import { readLeases } from "./leases/index.ts";
import { defaultGateways, ipv6Interfaces } from "./routes.ts";
import { openSystem, type System } from "./system.ts";

export const LINK_LOCAL = "169.254.169.254";
export const DATA_SERVER = "data-server";
/** EC2's address, and the one that OpenStack took. */
const IPV6_FIXED = "fd00:ec2::254";
const IPV6_LINK_LOCAL = "fe80::a9fe:a9fe";

/** More are not asked: a host of containers has hundreds of interfaces. */
export const CANDIDATES_MAX = 24;
/** Interfaces on which the IPv6 link-local address is tried. */
const INTERFACES_MAX = 8;

export interface CandidateOptions {
  /** This machine unless a test says otherwise. */
  readonly system?: System;
  /** Where the service listens; 80. */
  readonly port?: number;
}

/**
 * All addresses, in order of preference, each once. Waits for the resolver until the signal says
 * so; what it has not said by then is left out.
 */
export async function candidates(
  options: CandidateOptions,
  signal: AbortSignal,
): Promise<readonly Endpoint[]> {
  const named = await namedCandidates(options, signal);
  return ordered([...knownCandidates(options), ...named]);
}

/** What files and the kernel say. */
export function knownCandidates({
  system = openSystem(),
  port = HTTP_PORT,
}: CandidateOptions): readonly Endpoint[] {
  const found: Endpoint[] = [endpointAt(LINK_LOCAL, { via: "link-local", port })];
  for (const { server, file } of readLeases(system)) {
    if (server !== undefined) found.push(endpointAt(server, { via: "dhcp", port, source: file }));
  }
  for (const { address, device } of defaultGateways(system)) {
    found.push(endpointAt(address, { via: "gateway", port, source: device }));
  }
  const interfaces = ipv6Interfaces(system).slice(0, INTERFACES_MAX);
  // Without any IPv6 there is nobody to ask.
  if (interfaces.length > 0) found.push(endpointAt(IPV6_FIXED, { via: "ipv6", port }));
  for (const name of interfaces) {
    const host = `${IPV6_LINK_LOCAL}%${name}`;
    found.push(endpointAt(host, { via: "ipv6", port, source: name }));
  }
  return ordered(found);
}

/** What the name `data-server` is. */
export async function namedCandidates(
  { system = openSystem(), port = HTTP_PORT }: CandidateOptions,
  signal: AbortSignal,
): Promise<readonly Endpoint[]> {
  if (signal.aborted) return [];
  const stopped = new Promise<readonly string[]>((resolve) => {
    signal.addEventListener("abort", () => resolve([]), { once: true });
  });
  const addresses = await Promise.race([system.resolve(DATA_SERVER, signal), stopped]);
  return addresses
    .filter((address) => isIP(address) !== 0)
    .map((address) => endpointAt(address, { via: "data-server", port, source: DATA_SERVER }));
}

/** By preference, IPv4 first within one way; each address once, by the best way to it. */
export function ordered(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const rank = ({ via, host }: Endpoint): number => VIAS.indexOf(via) * 2 + (isIPv4(host) ? 0 : 1);
  const seen = new Set<string>();
  return [...endpoints]
    .sort((a, b) => rank(a) - rank(b))
    .filter(({ url }) => !seen.has(url) && seen.add(url).size > 0)
    .slice(0, CANDIDATES_MAX);
}
