/** Which of this machine's network devices lie in an address range. */

import { networkInterfaces } from "node:os";
import { type Cidr, contains, type Ip, isLinkLocal, tryParseIp } from "../model/address.ts";

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

/** The devices that have an address in one of `cidrs`, by name; the loopback device is none. */
export function devicesIn(cidrs: readonly Cidr[], interfaces = networkInterfaces()): string[] {
  return Object.entries(interfaces)
    .filter(([, addresses]) =>
      (addresses ?? []).some(({ address, internal }) => {
        const ip = internal ? undefined : tryParseIp(address);
        return ip !== undefined && cidrs.some((cidr) => contains(cidr, ip));
      }),
    )
    .map(([name]) => name)
    .sort();
}
