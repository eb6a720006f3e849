/**
 * Opens the admin listener: a unix socket with mode 0600, or TCP where an operator insists.
 */

import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname } from "node:path";
import { ConfigError, ListenError } from "../model/errors.ts";
import type { Handler, ListenAddress, Listener, Rim } from "./http/rim.ts";
import { addressOf } from "./listeners.ts";
import { taken, takenSocket } from "./taken.ts";

/** Commands to `apply`. Bytes; user data is 1 MiB at most, in base64, in JSON. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

/** Where guests are listened for; `auto` may be any address of this machine. */
export type GuestHosts = "auto" | ReadonlySet<string>;

/**
 * @throws {ListenError} if another program listens there.
 * @throws {ConfigError} if `at` is an address that guests can reach.
 */
export async function listenAdmin(
  at: ListenAddress,
  rim: Rim,
  { handler, guestHosts }: { handler: Handler; guestHosts: GuestHosts },
): Promise<Listener> {
  if ("host" in at) {
    if (isExposed(at.host, guestHosts)) {
      throw new ConfigError(
        `--admin-listen ${at.host}:${at.port}: guests may reach that; use unix:PATH or 127.0.0.1`,
      );
    }
    try {
      return await rim.listen({ at, handler, bodyBytesMax: BODY_BYTES_MAX });
    } catch (error) {
      if (!(error instanceof ListenError) || error.code !== "ADDRESS_IN_USE") throw error;
      throw taken(addressOf(at), at.port, "admin");
    }
  }
  await mkdir(dirname(at.unix), { recursive: true, mode: 0o700 });
  if (await answers(at.unix)) {
    throw takenSocket(at.unix);
  }
  await removeSocket(at.unix);
  const before = process.umask(0o177);
  try {
    const listener = await rim.listen({ at, handler, bodyBytesMax: BODY_BYTES_MAX });
    await chmod(at.unix, 0o600);
    return {
      at,
      async close(graceMs) {
        await listener.close(graceMs);
        await unlink(at.unix).catch(() => {});
      },
    };
  } finally {
    process.umask(before);
  }
}

/** Removes what a killed router left behind, and nothing else. */
async function removeSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new ConfigError(`--admin-listen unix:${path}: that is no socket`);
  await unlink(path);
}

function isExposed(host: string, guests: GuestHosts): boolean {
  if (isEvery(host)) return true;
  if (host === "::1" || host.startsWith("127.")) return false;
  return guests === "auto" || guests.has(host) || [...guests].some(isEvery);
}

function isEvery(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}
