/**
 * systemd-networkd: one file for each interface, named by its number, `SERVER_ADDRESS=10.1.1.1`.
 */

import { interfaceOf } from "../routes.ts";
import type { System } from "../system.ts";
import { LEASES_MAX, type Lease, type LeaseReader } from "./lease.ts";
import { addressesIn, addressIn, parseVariables } from "./variables.ts";

export const NETWORKD_LEASES = "/run/systemd/netif/leases";

export const networkd: LeaseReader = {
  client: "networkd",
  read: (system) =>
    system
      .list(NETWORKD_LEASES)
      .filter((name) => /^\d+$/.test(name))
      .slice(0, LEASES_MAX)
      .map((index) => readNetworkdLease(system, { index, client: "networkd" })),
};

/** What networkd knows of the interface with this number. */
export function readNetworkdLease(
  system: System,
  { index, client }: { readonly index: string; readonly client: string },
): Lease {
  const file = `${NETWORKD_LEASES}/${index}`;
  const variables = parseVariables(system.read(file)?.toString("latin1") ?? "");
  return {
    client,
    file,
    interface: interfaceOf(system, index),
    address: addressIn(variables, "ADDRESS"),
    server: addressIn(variables, "SERVER_ADDRESS"),
    routers: addressesIn(variables, "ROUTER"),
    writtenMs: system.modifiedMs(file) ?? 0,
  };
}
