/**
 * netplan keeps no leases: it writes configuration for networkd or NetworkManager, and
 * `netplan ip leases` shows theirs. The networkd leases of interfaces that netplan has set up are
 * read here, so that a report says which tool an administrator has to look at.
 */

import { interfaceOf } from "../routes.ts";
import type { System } from "../system.ts";
import type { LeaseReader } from "./lease.ts";
import { NETWORKD_LEASES, readNetworkdLease } from "./networkd.ts";

/** What netplan writes for networkd: `10-netplan-eth0.network`. */
const GENERATED = "/run/systemd/network";

export const netplan: LeaseReader = {
  client: "netplan",
  read(system) {
    const ours = interfaces(system);
    if (ours.size === 0) return [];
    return system
      .list(NETWORKD_LEASES)
      .filter((index) => ours.has(interfaceOf(system, index) ?? ""))
      .map((index) => readNetworkdLease(system, { index, client: "netplan" }));
  },
};

function interfaces(system: System): ReadonlySet<string> {
  const names = system.list(GENERATED).flatMap((name) => {
    const [, id] = /^10-netplan-(.+)\.network$/.exec(name) ?? [];
    if (id === undefined) return [];
    // The file is called after netplan's own name for the interface; what it matches may differ.
    const text = system.read(`${GENERATED}/${name}`)?.toString("latin1") ?? "";
    const matched = /^Name=(.+)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
    return [id, ...matched];
  });
  return new Set(names);
}
