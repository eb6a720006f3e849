/**
 * ISC dhclient, by itself or started by NetworkManager: `lease { … }` blocks, the newest last.
 *
 * A block ends at a line that is only a brace: strings in it are one line each, with escapes, so
 * that nothing a DHCP server sends can end a block or begin another.
 */

import { isIPv4 } from "node:net";
import type { System } from "../system.ts";
import { LEASES_MAX, type Lease, type LeaseReader } from "./lease.ts";

/** Debian, Red Hat, NetworkManager with `dhcp=dhclient`, cloud-init's own run. */
const FOLDERS = [
  "/var/lib/dhcp",
  "/var/lib/dhclient",
  "/var/lib/NetworkManager",
  "/run",
  "/var/db",
];
const NAME = /^dhclient.*\.leases?$|^dhclient\.leases\./;

export const dhclient: LeaseReader = {
  client: "dhclient",
  read: (system) =>
    FOLDERS.flatMap((folder) =>
      system
        .list(folder)
        .filter((name) => NAME.test(name))
        .flatMap((name) => readFile(system, `${folder}/${name}`)),
    ),
};

function readFile(system: System, file: string): Lease[] {
  const text = system.read(file)?.toString("latin1") ?? "";
  const writtenMs = system.modifiedMs(file) ?? 0;
  // What comes later replaces what came before it, for each interface.
  const newest = new Map<string | undefined, Lease>();
  for (const block of blocks(text)) {
    const lease = leaseOf(block, { file, writtenMs });
    newest.delete(lease.interface);
    newest.set(lease.interface, lease);
  }
  return [...newest.values()].slice(-LEASES_MAX);
}

/** Lines of each `lease { … }`; an unfinished last one is left out, the client is writing it. */
function* blocks(text: string): Generator<readonly string[]> {
  let block: string[] | undefined;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "lease {") block = [];
    else if (line === "}" && block !== undefined) {
      yield block;
      block = undefined;
    } else block?.push(line);
  }
}

function leaseOf(
  lines: readonly string[],
  place: { readonly file: string; readonly writtenMs: number },
): Lease {
  const value = (key: string): string | undefined =>
    lines.find((line) => line.startsWith(`${key} `) && line.endsWith(";"))?.slice(key.length, -1);
  const address = (key: string): string | undefined => {
    const text = value(key)?.trim();
    return text !== undefined && isIPv4(text) ? text : undefined;
  };
  const name = /^ "([^"]{1,15})"$/.exec(value("interface") ?? "")?.[1];
  const routers = value("option routers")?.split(",") ?? [];
  return {
    client: "dhclient",
    ...place,
    interface: name,
    address: address("fixed-address"),
    server: address("option dhcp-server-identifier"),
    routers: routers.map((router) => router.trim()).filter(isIPv4),
  };
}
