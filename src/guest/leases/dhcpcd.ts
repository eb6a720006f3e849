/**
 * dhcpcd: the DHCP message as it came from the network, one file for each interface.
 *
 * @see RFC 2131 section 2 for the message, RFC 2132 for the options
 */

import type { System } from "../system.ts";
import { LEASES_MAX, type Lease, type LeaseReader } from "./lease.ts";

/** Version 9 and later; Debian's dhcpcd5; versions before. */
const FOLDERS = ["/var/lib/dhcpcd", "/var/lib/dhcpcd5", "/var/db/dhcpcd"];
/** `eth0.lease`, `dhcpcd-eth0.lease`, `wlan0-NAME.lease`; `.lease6` is DHCPv6. */
const NAME = /^(?:dhcpcd-)?([^-]{1,15})(?:-.*)?\.lease$/;

const YOUR_ADDRESS = 16;
const MAGIC_AT = 236;
const MAGIC = 0x63825363;
const OPTION = { pad: 0, routers: 3, server: 54, end: 255 } as const;

export const dhcpcd: LeaseReader = {
  client: "dhcpcd",
  read: (system) =>
    FOLDERS.flatMap((folder) =>
      system
        .list(folder)
        .filter((name) => NAME.test(name))
        .slice(0, LEASES_MAX)
        .flatMap((name) => readFile(system, { folder, name })),
    ),
};

function readFile(
  system: System,
  { folder, name }: { readonly folder: string; readonly name: string },
): Lease[] {
  const file = `${folder}/${name}`;
  const message = system.read(file);
  if (message === undefined || message.length < MAGIC_AT + 4) return [];
  if (message.readUInt32BE(MAGIC_AT) !== MAGIC) return [];
  const options = optionsOf(message.subarray(MAGIC_AT + 4));
  const routers = options.get(OPTION.routers);
  return [
    {
      client: "dhcpcd",
      file,
      interface: NAME.exec(name)?.[1],
      address: addressAt(message, YOUR_ADDRESS),
      server: addressAt(options.get(OPTION.server), 0),
      routers: [0, 4, 8, 12].flatMap((at) => addressAt(routers, at) ?? []),
      writtenMs: system.modifiedMs(file) ?? 0,
    },
  ];
}

/** Code, length, value; a length that leads out of the message ends it. */
function optionsOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  let at = 0;
  while (at < bytes.length && bytes[at] !== OPTION.end) {
    const code = bytes[at++] ?? OPTION.end;
    if (code === OPTION.pad) continue;
    const length = bytes[at++] ?? 0;
    if (at + length > bytes.length) break;
    if (!found.has(code)) found.set(code, bytes.subarray(at, at + length));
    at += length;
  }
  return found;
}

function addressAt(bytes: Buffer | undefined, at: number): string | undefined {
  if (bytes === undefined || bytes.length < at + 4) return undefined;
  const text = bytes.subarray(at, at + 4).join(".");
  return text === "0.0.0.0" ? undefined : text;
}
