/** What the kernel is asked and told for a router, with conditions where that fails. */

import type { Conditions } from "../observe/conditions.ts";
import { type Neighbours, type NeighboursOptions, openNeighbours } from "../platform/neighbours.ts";
import { Firewall, type FirewallPorts } from "./firewall/keeper.ts";

/** Neighbours whose trouble is the condition NEIGHBOURS_UNREADABLE. */
export function followNeighbours(
  conditions: Conditions,
  options: Omit<NeighboursOptions, "onTrouble"> = {},
): Neighbours {
  const subject = "neighbour table";
  return openNeighbours({
    ...options,
    onTrouble: (why) => {
      if (why === undefined) conditions.clear("NEIGHBOURS_UNREADABLE", subject);
      else conditions.raise("NEIGHBOURS_UNREADABLE", subject, why);
    },
  });
}

/** A firewall whose trouble is the condition FIREWALL_FAILED. */
export function keepFirewall(
  conditions: Conditions,
  ports: Omit<FirewallPorts, "onTrouble"> = {},
): Firewall {
  const subject = "table inet frontdesk";
  return new Firewall({
    ...ports,
    onTrouble: (why) => {
      if (why === undefined) conditions.clear("FIREWALL_FAILED", subject);
      else conditions.raise("FIREWALL_FAILED", subject, why);
    },
  });
}
