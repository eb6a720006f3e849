/** The DHCP clients whose leases we can read: one file and one line each, in order of trust. */

import { dhclient } from "./dhclient.ts";
import { dhcpcd } from "./dhcpcd.ts";
import type { Lease, LeaseReader } from "./lease.ts";
import { netplan } from "./netplan.ts";
import { networkManager } from "./network-manager.ts";
import { networkd } from "./networkd.ts";
import { udhcpc } from "./udhcpc.ts";

// biome-ignore format: a table reads best with one line for each client
export const LEASE_READERS: readonly LeaseReader[] = [
  networkd,
  netplan,
  networkManager,
  dhclient,
  dhcpcd,
  udhcpc,
];

/** All leases of all clients, what was written last first. */
export function readLeases(system: Parameters<LeaseReader["read"]>[0]): readonly Lease[] {
  return LEASE_READERS.flatMap((reader) => reader.read(system)).sort(
    (a, b) => b.writtenMs - a.writtenMs,
  );
}
