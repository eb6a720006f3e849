/**
 * Why an address cannot be listened on, in our words.
 */

import { ListenError } from "../../model/errors.ts";
import type { ListenAddress } from "./rim.ts";

export function toListenError(error: unknown, at: ListenAddress): ListenError {
  const where = "unix" in at ? at.unix : `${at.host}:${at.port}`;
  switch ((error as NodeJS.ErrnoException).code) {
    case "EADDRINUSE":
      return new ListenError("ADDRESS_IN_USE", `${where} is in use`);
    case "EADDRNOTAVAIL":
      return new ListenError(
        "ADDRESS_NOT_LOCAL",
        `${where} is not an address of this machine; ip address shows those that are`,
      );
    case "EACCES":
    case "EPERM":
      return new ListenError(
        "ADDRESS_DENIED",
        `not permitted to listen on ${where}: ports below 1024 need root, or CAP_NET_BIND_SERVICE`,
      );
    default:
      return new ListenError("LISTEN_FAILED", `cannot listen on ${where}`, { cause: error });
  }
}
