/**
 * A longer queue for connections on Bun, which always asks the kernel for 512 and has no option.
 *
 * When a thousand guests start in one instant, the queue overflows, and a guest whose connection
 * fell out of it tries again a second later. `listen` may be called again on a socket that
 * listens, so it is, through Bun's own interface to C. Where that cannot be had, 512 it stays.
 */

import { readdirSync, readlinkSync } from "node:fs";
import { withLibc } from "./libc.ts";
import { BACKLOG } from "./limits.ts";

const SOL_SOCKET = 1;
/** Whether a socket listens: socket(7). */
const SO_ACCEPTCONN = 30;

const FUNCTIONS = {
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
};

interface Libc {
  listen(fd: number, backlog: number): number;
  getsockopt(fd: number, level: number, name: number, value: object, length: object): number;
}

/** Raises it for all that this process listens on. Never throws; a fraction of a millisecond. */
export function raiseBacklogs(): void {
  withLibc(FUNCTIONS, raise);
}

function raise(libc: Libc): void {
  for (const fd of readdirSync("/proc/self/fd").filter(isSocket).map(Number)) {
    const listens = Int32Array.of(0);
    libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, Int32Array.of(4));
    if (listens[0] === 1) libc.listen(fd, BACKLOG);
  }
}

function isSocket(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
  } catch {
    return false; // Closed meanwhile.
  }
}
