/** Which lease a change of the directory tells of, for the firewall. */

import type { Ip, Mac } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";

/**
 * The MAC address that may ask from an address now; `mac: undefined` where there is no lease any
 * more. An address whose metadata is awaited has its new lease already.
 *
 * @returns `undefined` if the change tells of no lease.
 */
export function leaseOf(change: Change): { address: Ip; mac: Mac | undefined } | undefined {
  switch (change.kind) {
    case "put":
      return { address: change.binding.address, mac: change.binding.mac };
    case "withhold": {
      const { address, mac, reason } = change.withheld;
      return { address, mac: reason === "awaiting-metadata" ? mac : undefined };
    }
    case "delete":
      return { address: change.address, mac: undefined };
    default:
      return undefined;
  }
}
