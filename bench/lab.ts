/**
 * The guests of a measurement: instances at 127.x.y.z, the same ones for every server.
 *
 * Each has 14 keys in CloudStack's order and 256 bytes of user data; the last few have 16 KiB.
 * `writeDatabags` lays them out as /etc/cloudstack, `writeTree` as the files of a web server.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type KeyValue = readonly [name: string, value: string];

export interface Guest {
  readonly address: string;
  readonly mac: string;
  readonly name: string;
  readonly keys: readonly KeyValue[];
  readonly userData: string;
}

export const USER_DATA_BYTES = 256;
export const LARGE_BYTES = 16_384;
/** Guests with large user data: enough that a fair limit for each guest is not what is measured. */
export const LARGE_GUESTS = 32;
const GUESTS_PER_BLOCK = 250;
/** 127.20.0.1 and up: away from the addresses that people use on loopback. */
const FIRST_BLOCK = 20;

/** The key in which a change is seen. */
export const CHANGED_KEY = "public-ipv4";

/** The `index`-th guest's address; the last part is never 0 or 255. */
export function addressOf(index: number): string {
  const block = Math.floor(index / GUESTS_PER_BLOCK);
  const second = FIRST_BLOCK + Math.floor(block / GUESTS_PER_BLOCK);
  return `127.${second}.${block % GUESTS_PER_BLOCK}.${(index % GUESTS_PER_BLOCK) + 1}`;
}

export function makeGuest(index: number, userDataBytes: number = USER_DATA_BYTES): Guest {
  const address = addressOf(index);
  const hex = index.toString(16).padStart(8, "0");
  const uuid = `${hex}-3c2b-4a19-8e77-0f1e2d3c4b5a`;
  const name = `web-${index}`;
  const publicAddress = `198.51.100.${index % 256}`;
  const head = `#cloud-config\n# guest ${address}\n`;
  return {
    address,
    mac: `02:00:${hex.match(/../g)?.join(":")}`,
    name,
    keys: [
      ["service-offering", "Small Instance"],
      ["availability-zone", "zone-ber-1"],
      ["local-ipv4", address],
      ["local-hostname", name],
      ["public-ipv4", publicAddress],
      ["public-hostname", publicAddress],
      ["instance-id", uuid],
      ["vm-id", uuid],
      ["public-keys", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${hex.repeat(5)}abc ${name}@laptop`],
      ["cloud-identifier", "CloudStack-{6f1c2d4e-0b7a-4c53-9e58-1a2b3c4d5e6f}"],
      ["hypervisor-host-name", `kvm-${index % 40}`],
      ["cloud-domain", "Acme"],
      ["cloud-domain-id", "0f9e8d7c-6b5a-4948-8776-655443322110"],
      ["cloud-name", "Acme Cloud"],
    ],
    userData: head + "#".repeat(userDataBytes - head.length),
  };
}

/** `count` guests, of which the last `LARGE_GUESTS` have large user data if `large`. */
export function makeGuests(count: number, large = false): Guest[] {
  return Array.from({ length: count }, (_, index) =>
    makeGuest(index, large && index >= count - LARGE_GUESTS ? LARGE_BYTES : USER_DATA_BYTES),
  );
}

/** The guest's entry of vmdata.json, as a `vm_metadata` command carries it. */
export function metadataOf(guest: Guest): (readonly [string, string, string])[] {
  const userData = Buffer.from(guest.userData).toString("base64");
  return [
    ["userdata", "user-data", userData],
    ...guest.keys.map(([name, value]) => ["metadata", name, value] as const),
  ];
}

/** The guest with another value of `CHANGED_KEY`. */
export function changed(guest: Guest, value: string): Guest {
  const keys = guest.keys.map((key): KeyValue => (key[0] === CHANGED_KEY ? [key[0], value] : key));
  return { ...guest, keys };
}

/** A CloudStack command file's text for this guest. */
export function metadataCommand(guest: Guest): string {
  return JSON.stringify({
    vm_ip_address: guest.address,
    vm_metadata: metadataOf(guest),
    type: "vmdata",
    delete_from_processed_cache: false,
  });
}

/** Writes the databags of a router with these guests into `directory`, which is made. */
export function writeDatabags(directory: string, guests: readonly Guest[]): void {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, bag: Record<string, unknown>): void => {
    writeFileSync(join(directory, `${name}.json`), sortedJson({ ...bag, id: name }));
  };
  const byAddress = <T>(value: (guest: Guest) => T): Record<string, T> =>
    Object.fromEntries(guests.map((guest) => [guest.address, value(guest)]));
  write("vmdata", byAddress(metadataOf));
  write("dhcpentry", byAddress(leaseOf));
  write("vmpassword", {});
  write("ips", { eth0: [GUEST_SIDE] });
  write("cmdline", {
    config: {
      dns1: "9.9.9.9",
      domain: "bench.internal",
      eth0ip: "127.0.0.1",
      eth0mask: "255.0.0.0",
      name: "r-1-VM",
      redundant_router: "false",
      type: "router",
    },
  });
}

function leaseOf(guest: Guest): Record<string, unknown> {
  return {
    default_entry: true,
    default_gateway: "127.0.0.1",
    delete_from_processed_cache: false,
    dns_addresses: "127.0.0.1",
    host_name: guest.name,
    ipv4_address: guest.address,
    ipv6_duid: `00:03:00:01:${guest.mac}`,
    mac_address: guest.mac,
    remove: false,
    type: "dhcpentry",
  };
}

const GUEST_SIDE = {
  add: true,
  broadcast: "127.255.255.255",
  cidr: "127.0.0.1/8",
  device: "eth0",
  gateway: "",
  netmask: "255.0.0.0",
  network: "127.0.0.0/8",
  nic_dev_id: "0",
  nw_type: "guest",
  one_to_one_nat: false,
  public_ip: "127.0.0.1",
  size: "8",
  source_nat: false,
};

/** JSON as Python writes it with `indent=2, sort_keys=True`. ASCII only, so the bytes are equal. */
function sortedJson(bag: Record<string, unknown>): string {
  const names = Object.keys(bag).sort();
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, bag[name]])), undefined, 2);
}
