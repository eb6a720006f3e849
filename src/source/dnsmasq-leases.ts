/**
 * The lease file of dnsmasq: who got which address from DHCP. One lease a line, as written by
 * version 2.66 and later:
 *
 *     1795402800 02:00:5a:10:00:07 10.1.1.57 web-01 01:02:00:5a:10:00:07
 *     duid 00:01:00:01:2f:e4:a9:1b:02:00:5a:10:00:01
 *     1795402800 5242887 fd00:5a::57 web-01 00:03:00:01:02:00:5a:10:00:07
 */

import { type Ip, type Mac, tryParseIp, tryParseMac } from "../model/address.ts";

/** Leases of one file. Two for each of 50,000 guests stay below. */
const LEASES_MAX = 100_000;

export interface DnsmasqLease {
  readonly address: Ip;
  readonly mac: Mac;
}

/** The leases of `text`. What is no lease, or names no MAC address, is passed over. */
export function parseDnsmasqLeases(text: string): DnsmasqLease[] {
  const leases: DnsmasqLease[] = [];
  for (const line of text.split("\n")) {
    const [expires = "", hardware = "", ip, , client = ""] = line.split(" ");
    const address = /^\d+$/.test(expires) ? tryParseIp(ip) : undefined;
    if (address === undefined) continue;
    // Hardware of another kind than Ethernet has its number before it: 20-….
    const mac = address.includes(":") ? macOfDuid(client) : tryParseMac(hardware);
    if (mac !== undefined) leases.push({ address, mac });
    if (leases.length >= LEASES_MAX) break;
  }
  return leases;
}

/** A DUID of type 1 (link-layer address and time) or 3 (link-layer address), of Ethernet. */
function macOfDuid(duid: string): Mac | undefined {
  const mac = /^00:(?:03:00:01|01:00:01(?::[0-9a-f]{2}){4}):([0-9a-f:]{17})$/i.exec(duid)?.[1];
  return tryParseMac(mac);
}
