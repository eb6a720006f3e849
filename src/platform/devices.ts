/** Which of this machine's network devices and addresses lie in an address range. */

import { networkInterfaces } from "node:os";
import {
  type Cidr,
  containedIn,
  contains,
  type Ip,
  isLinkLocal,
  tryParseIp,
} from "../model/address.ts";

/** What clients of EC2's kind ask, wherever a device has it. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  "169.254.169.254",
  "fd00:ec2::254",
  "fe80::a9fe:a9fe",
]);

/** The metadata service's own addresses that this machine has; a link-local one on each link. */
export function metadataAddresses(
  interfaces = networkInterfaces(),
): readonly { readonly host: Ip; readonly zone?: string }[] {
  return Object.entries(interfaces).flatMap(([name, addresses]) =>
    (addresses ?? []).flatMap(({ address }) => {
      const host = tryParseIp(address.split("%", 1)[0]);
      if (host === undefined || !METADATA_ADDRESSES.has(host)) return [];
      return isLinkLocal(host) ? [{ host, zone: name }] : [{ host }];
    }),
  );
}

/** This machine's addresses in `cidrs`; those of the loopback device are none. */
export function addressesIn(cidrs: readonly Cidr[], interfaces = networkInterfaces()): Ip[] {
  return Object.values(interfaces).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ address, internal }) => {
      const ip = internal ? undefined : tryParseIp(address.split("%", 1)[0]);
      return ip !== undefined && containedIn(cidrs, ip) ? [ip] : [];
    }),
  );
}

/** Names the devices that have an address in a range; the loopback device is none. */
export type FindDevices = (cidrs: readonly Cidr[]) => string[];

/** As this machine's devices are now: the kernel is asked once, however many ranges there are. */
export function findDevices(interfaces = networkInterfaces()): FindDevices {
  const devices = Object.entries(interfaces).map(([name, found]) => {
    const addresses = (found ?? []).flatMap(({ address, internal }) => {
      return internal ? [] : (tryParseIp(address) ?? []);
    });
    return { name, addresses };
  });
  return (cidrs) =>
    devices
      .filter(({ addresses }) =>
        addresses.some((address) => cidrs.some((cidr) => contains(cidr, address))),
      )
      .map(({ name }) => name)
      .sort();
}

/** The devices in one range, as they are now. */
export function devicesIn(cidrs: readonly Cidr[], interfaces = networkInterfaces()): string[] {
  return findDevices(interfaces)(cidrs);
}
