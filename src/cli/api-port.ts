/**
 * The APIs' address as `frontdesk serve` sees it from outside its controller: whether it is free
 * before anything is started, and from when on somebody answers there.
 */

import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { apiListenError } from "../controller/listen-error.ts";
import { ListenError } from "../model/errors.ts";

/** The controller of a program that was killed notices it within this. ms. */
const RELEASE_MS = 1000;
const AGAIN_MS = 100;
/** Between two looks whether it answers: at first, and of a controller that does not come. ms. */
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 1000;

interface At {
  readonly host: string;
  readonly port: number;
}

/** @throws {ListenError} that names who holds the port, if it cannot be listened on. */
export async function checkApiPort(at: At): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
    try {
      await listenOnce(at);
      return;
    } catch (error) {
      const isTaken = error instanceof ListenError && error.code === "ADDRESS_IN_USE";
      if (!isTaken || waitedMs >= RELEASE_MS) throw error;
    }
    await sleep(AGAIN_MS);
  }
}

/** Resolves when connections are taken, or `signal` says that nobody waits any more. */
export async function answering(at: At, signal: AbortSignal): Promise<void> {
  let waitMs = LOOK_MS_MIN;
  while (!signal.aborted && !(await isOpen(at))) {
    await sleep(waitMs, undefined, { signal }).catch(() => {});
    waitMs = Math.min(waitMs * 1.5, LOOK_MS_MAX);
  }
}

function listenOnce(at: At): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => reject(apiListenError(error, at)));
    server.listen({ ...at, exclusive: true }, () => server.close(() => resolve()));
  });
}

function isOpen(at: At): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
