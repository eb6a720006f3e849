/**
 * What is said of an address that the APIs cannot have. It is a file of its own because a program
 * that only looks at the address loads no HTTP library.
 */

import { ListenError } from "../model/errors.ts";
import { holderWords } from "../platform/port-holder.ts";

/** @param at the address that was to be listened on */
export function apiListenError(
  error: NodeJS.ErrnoException,
  at: { readonly host: string; readonly port: number },
): ListenError {
  const [code, reason] = reasonOf(error, at.port);
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  const message = `the API's address ${host}:${at.port} ${reason}`;
  return new ListenError(code, message, { cause: error });
}

function reasonOf({ code }: NodeJS.ErrnoException, port: number): [ListenError["code"], string] {
  if (code === "EADDRINUSE") {
    const what = `is held by ${holderWords(port)}; stop it, or choose another with --api-listen`;
    return ["ADDRESS_IN_USE", what];
  }
  if (code === "EADDRNOTAVAIL") return ["ADDRESS_NOT_LOCAL", "is not an address of this machine"];
  if (code === "EACCES") return ["ADDRESS_DENIED", "needs root: the port is below 1024"];
  return ["LISTEN_FAILED", "cannot be listened on"];
}
