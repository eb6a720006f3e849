/**
 * Databags written for a test, in the form that CloudStack's router keeps in /etc/cloudstack.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One line of `vmdata.json`: folder, key, value; user data is base64. */
export type Entry = readonly [folder: "userdata" | "metadata", key: string, value: string | null];

export interface Network {
  /** The router's guest address. */
  readonly router: string;
  /** Length of the prefix: 8, 16 or 24. */
  readonly prefix: 8 | 16 | 24;
  readonly instances: Readonly<Record<string, readonly Entry[]>>;
}

/** Writes `vmdata`, `dhcpentry`, `ips` and `cmdline`; every instance has a lease. */
export function writeDatabags(folder: string, network: Network): void {
  mkdirSync(folder, { recursive: true });
  const write = (id: string, content: object): void => {
    writeFileSync(join(folder, `${id}.json`), JSON.stringify({ ...content, id }, null, 2));
  };
  const addresses = Object.keys(network.instances);
  write("vmdata", network.instances);
  write(
    "dhcpentry",
    Object.fromEntries(addresses.map((at, index) => [at, lease(at, network.router, index)])),
  );
  write("ips", { eth0: [guestInterface(network)] });
  write("cmdline", { config: { type: "router", name: "r-1-VM", domain: "cs1cloud.internal" } });
}

function lease(address: string, gateway: string, index: number): object {
  const tail = (index + 1).toString(16).padStart(4, "0");
  return {
    host_name: `host-${index}`,
    mac_address: `02:00:00:00:${tail.slice(0, 2)}:${tail.slice(2)}`,
    ipv4_address: address,
    default_gateway: gateway,
    default_entry: true,
    remove: false,
    type: "dhcpentry",
  };
}

function guestInterface({ router, prefix }: Network): object {
  const kept = prefix / 8;
  const part = (fill: string): string =>
    router
      .split(".")
      .map((number, index) => (index < kept ? number : fill))
      .join(".");
  return {
    add: true,
    broadcast: part("255"),
    cidr: `${router}/${prefix}`,
    device: "eth0",
    gateway: "",
    netmask: ["255", "255", "255", "255"].fill("0", kept).join("."),
    network: `${part("0")}/${prefix}`,
    nic_dev_id: "0",
    nw_type: "guest",
    one_to_one_nat: false,
    public_ip: router,
    size: String(prefix),
    source_nat: false,
  };
}
