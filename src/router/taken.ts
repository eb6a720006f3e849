/**
 * What is said of an address that another program listens on: who that is, and what to do.
 */

import { ListenError } from "../model/errors.ts";
import { holderWords, portHolder } from "../platform/port-holder.ts";

/** Whose listener was refused. */
export type Refused = "metadata" | "password" | "admin" | "proxied";

const FLAGS: Readonly<Record<Refused, string>> = {
  metadata: "--listen",
  password: "--password-listen",
  admin: "--admin-listen",
  proxied: "proxied in the configuration file",
};

/** What CloudStack's own router runs on the ports that `auto` takes. */
const SERVICES: Readonly<Record<string, string>> = {
  "metadata 80": "apache2",
  "password 8080": "'cloud-password-server@*'",
};

/** @param at the address, as people write it */
export function taken(at: string, port: number, refused: Refused): ListenError {
  // Other listeners' twins are found before it is asked who has the port.
  if (refused === "proxied" && portHolder(port) === process.pid) {
    const message = `${at} is this router's own already; choose another with ${FLAGS[refused]}`;
    return new ListenError("ADDRESS_IN_USE", message);
  }
  const holder = holderWords(port);
  const service = SERVICES[`${refused} ${port}`];
  const how = service === undefined ? "" : ` (on a virtual router: systemctl stop ${service})`;
  return new ListenError(
    "ADDRESS_IN_USE",
    `${at} is held by ${holder}; stop it${how}, or choose another address with ${FLAGS[refused]}`,
  );
}

/** An admin socket on which somebody answers. */
export function takenSocket(path: string): ListenError {
  return new ListenError(
    "ADDRESS_IN_USE",
    `${path} is held by another process, which answers there; ` +
      "stop it, or choose another with --admin-listen",
  );
}
