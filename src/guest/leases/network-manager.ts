/**
 * NetworkManager's own DHCP client: `internal-UUID-eth0.lease`, and the options of the lease in
 * `/run/NetworkManager/devices/INDEX`, section `[dhcp4]`.
 *
 * Its lease files of old (before 1.22) name the server; later ones name only the address, and the
 * section tells the rest. What it has dhclient write is read as dhclient's.
 */

import { interfaceOf } from "../routes.ts";
import type { System } from "../system.ts";
import { LEASES_MAX, type Lease, type LeaseReader } from "./lease.ts";
import { addressesIn, addressIn, parseVariables } from "./variables.ts";

const LEASES = "/var/lib/NetworkManager";
const DEVICES = "/run/NetworkManager/devices";
const LEASE_NAME = /^internal-[0-9a-fA-F-]{36}-(.{1,15})\.lease$/;

export const networkManager: LeaseReader = {
  client: "NetworkManager",
  read: (system) => [...fromDevices(system), ...fromLeases(system)],
};

function fromDevices(system: System): Lease[] {
  return system
    .list(DEVICES)
    .filter((index) => /^\d+$/.test(index))
    .slice(0, LEASES_MAX)
    .flatMap((index) => {
      const file = `${DEVICES}/${index}`;
      const text = system.read(file)?.toString("latin1") ?? "";
      const section = /(?:^|\n)\[dhcp4\]\n([^[]*)/.exec(text)?.[1];
      if (section === undefined) return [];
      const variables = parseVariables(section);
      return {
        client: "NetworkManager",
        file,
        interface: interfaceOf(system, index),
        address: addressIn(variables, "dhcp4.ip_address"),
        server: addressIn(variables, "dhcp4.dhcp_server_identifier"),
        routers: addressesIn(variables, "dhcp4.routers"),
        writtenMs: system.modifiedMs(file) ?? 0,
      };
    });
}

function fromLeases(system: System): Lease[] {
  const names = system.list(LEASES).filter((name) => LEASE_NAME.test(name));
  return names.slice(0, LEASES_MAX).map((name) => {
    const file = `${LEASES}/${name}`;
    const variables = parseVariables(system.read(file)?.toString("latin1") ?? "");
    return {
      client: "NetworkManager",
      file,
      interface: LEASE_NAME.exec(name)?.[1],
      address: addressIn(variables, "ADDRESS"),
      server: addressIn(variables, "SERVER_ADDRESS"),
      routers: addressesIn(variables, "ROUTER"),
      writtenMs: system.modifiedMs(file) ?? 0,
    };
  });
}
