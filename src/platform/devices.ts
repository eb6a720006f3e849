/** Which of this machine's network devices lie in an address range. */

import { networkInterfaces } from "node:os";
import { type Cidr, contains, tryParseIp } from "../model/address.ts";

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
