/**
 * Which addresses are guarded: the well-known ones, those found on this instance, those named.
 */

import { isIP } from "node:net";
import { type Ip, tryParseIp } from "../../model/address.ts";
import type { Endpoint, Via } from "../endpoint.ts";
import { withoutZone } from "./options.ts";
import { ADDRESSES_MAX, PORTS, WELL_KNOWN } from "./policy.ts";

export interface Guarded {
  readonly address: Ip;
  readonly via: Via | "well-known";
  /** Where it was read. */
  readonly source?: string;
}

export interface GuardedPlaces {
  readonly places: readonly Guarded[];
  readonly ports: readonly number[];
  /** What was found and left out, and why; a sentence each. */
  readonly notes: readonly string[];
}

export function guardedPlaces(
  named: readonly Endpoint[],
  found: readonly Endpoint[],
): GuardedPlaces {
  const places = new Map<Ip, Guarded>();
  const notes: string[] = [];
  for (const address of WELL_KNOWN) places.set(address, { address, via: "well-known" });
  for (const { host, via, source } of [...named, ...found]) {
    const address = tryParseIp(withoutZone(host));
    if (address === undefined || places.has(address)) continue;
    if (via !== "option" && !isPeer(address)) {
      notes.push(`${address} (${via}) is not guarded: it is no address of another machine`);
    } else if (places.size < ADDRESSES_MAX) {
      places.set(address, { address, via, ...(source === undefined ? {} : { source }) });
    } else notes.push(`${address} (${via}) is not guarded: ${ADDRESSES_MAX} addresses at most`);
  }
  const ports = [...new Set([...PORTS, ...named.map(({ port }) => port)])].sort((a, b) => a - b);
  return { places: [...places.values()], ports, notes };
}

/**
 * Whether it can be a router's. A resolver that is led astray may call anything `data-server`; a
 * rule for loopback would take this machine's own services from its users.
 */
function isPeer(address: Ip): boolean {
  if (isIP(address) === 6) return !/^(::1?$|ff)/.test(address);
  const first = Number(address.split(".")[0]);
  return first !== 0 && first !== 127 && first < 224;
}
