/**
 * Which of a NIC's addresses can be a guest's. What an API says is not believed blindly: an
 * address that every machine has, or none, would let whoever asks from it be that instance.
 */

import { type Cidr, containedIn, type Ip, parseCidr, tryParseIp } from "../../model/address.ts";
import { ADDRESSES_MAX } from "../../model/record-limits.ts";
import type { Cloud, CloudNic } from "./cloud.ts";
import { networksOf } from "./networks.ts";

/**
 * Addresses that are no guest's: of no host, link-local (and with that the metadata service's own),
 * multicast and broadcast. @see RFC 6890
 */
const NOBODYS =
  /^0\.|^169\.254\.|^2(2[4-9]|3\d)\.|^255\.255\.255\.255$|^::$|^fe[89ab][0-9a-f]:|^ff[0-9a-f]{2}:/;

/** Of the machine itself: a guest's only where its network says so, as a lab's on loopback does. */
const LOOPBACK = /^127\.|^::1$/;

/**
 * Answers the addresses of a NIC, each once, the primary ones first: `local-ipv4` is the first.
 *
 * @param invalid is called for each that is left out.
 */
export type AddressesOf = (nic: CloudNic, invalid: () => void) => Ip[];

export function addressesOf(cloud: Cloud): AddressesOf {
  const ranges = new Map(networksOf(cloud).map(({ id, cidrs }) => [id, cidrs.map(parseCidr)]));
  return (nic, invalid) => {
    const own = ranges.get(nic.networkid ?? "") ?? [];
    const addresses = new Set<Ip>();
    for (const text of [nic.ipaddress, nic.ip6address, ...nic.secondary]) {
      if (text === undefined || text === "") continue;
      const address = tryParseIp(text);
      if (address === undefined || !isGuests(address, own)) invalid();
      else addresses.add(address);
    }
    return [...addresses].slice(0, ADDRESSES_MAX);
  };
}

function isGuests(address: Ip, ranges: readonly Cidr[]): boolean {
  if (NOBODYS.test(address)) return false;
  return !LOOPBACK.test(address) || containedIn(ranges, address);
}
