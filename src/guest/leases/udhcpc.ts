/**
 * BusyBox's udhcpc keeps no lease: it hands variables to a script, and the script decides.
 *
 * Read are the files that scripts are known to leave: variables as udhcpc names them (`serverid`),
 * JSON of the same names, and what an initramfs keeps of its lease.
 */

import { isIPv4 } from "node:net";
import type { System } from "../system.ts";
import { LEASES_MAX, type Lease, type LeaseReader } from "./lease.ts";
import { addressesIn, addressIn, parseVariables } from "./variables.ts";

interface Place {
  readonly folder: string;
  /** Its first group is the interface. */
  readonly name: RegExp;
}

/** Folders that only root writes; never /tmp, where anybody could leave a lease. */
const PLACES: readonly Place[] = [
  { folder: "/run/udhcpc", name: /^(?:udhcpc[.-])?([\w@-]{1,15})(?:\.\w+)?$/ },
  { folder: "/run", name: /^udhcpc[.-]([\w@-]{1,15})(?:\.(?:lease|info|env|json))?$/ },
  { folder: "/var/lib/udhcpc", name: /^(?:udhcpc[.-])?([\w@-]{1,15})(?:\.\w+)?$/ },
  { folder: "/var/lib/misc", name: /^udhcpc[.-]([\w@-]{1,15})\.(?:lease|info|env|json)$/ },
  // initramfs-tools, by klibc's ipconfig, udhcpc or dhcpcd.
  { folder: "/run", name: /^net-([\w@-]{1,15})\.conf$/ },
];

export const udhcpc: LeaseReader = {
  client: "udhcpc",
  read: (system) =>
    PLACES.flatMap(({ folder, name }) =>
      system
        .list(folder)
        .slice(0, LEASES_MAX)
        .flatMap((file) => {
          const found = name.exec(file);
          return found === null ? [] : readFile(system, `${folder}/${file}`, found[1]);
        }),
    ),
};

function readFile(system: System, file: string, name: string | undefined): Lease[] {
  const text = system.read(file)?.toString("latin1") ?? "";
  const variables = text.trimStart().startsWith("{") ? parseJson(text) : parseVariables(text);
  const address = addressIn(variables, "ip", "IPV4ADDR");
  const server = addressIn(variables, "serverid", "ROOTSERVER");
  if (address === undefined && server === undefined) return [];
  const device = variables.get("interface") ?? variables.get("DEVICE") ?? name;
  return [
    {
      client: "udhcpc",
      file,
      interface: device !== undefined && /^[\w.@-]{1,15}$/.test(device) ? device : undefined,
      address,
      server: isIPv4(server ?? "") && server !== "0.0.0.0" ? server : undefined,
      routers: addressesIn(variables, "router", "IPV4GATEWAY"),
      writtenMs: system.modifiedMs(file) ?? 0,
    },
  ];
}

/** The texts of a flat object; anything else has none. */
function parseJson(text: string): ReadonlyMap<string, string> {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    return new Map(
      entries.filter((entry): entry is [string, string] => {
        return typeof entry[1] === "string";
      }),
    );
  } catch {
    return new Map();
  }
}
