/**
 * A listener for connections that others make for guests: each begins with a PROXY header of
 * version 2, from a peer that the operator trusts, and the address in it is who asks.
 *
 * Bun's own server cannot read what comes before a request, so both runtimes use `node:net` and
 * the rim on `node:http` here. Who is not trusted, and what is no such header, gets no answer: the
 * connection is closed.
 */

import { createServer, type Socket } from "node:net";
import { type Ip, tryParseIp } from "../../model/address.ts";
import {
  PREFIX_BYTES,
  type Prefix,
  readPrefix,
  readSource,
} from "../../protocol/proxy-protocol.ts";
import { BACKLOG, IDLE_TIMEOUT_S, WAITING_TIMEOUT_S } from "./limits.ts";
import { toListenError } from "./listen-error.ts";
import { isIdle, makeServer, type OnBehalf } from "./node.ts";
import type { Listener, ListenOptions } from "./rim.ts";

/** The header comes with the first packet; whoever takes longer has none. ms. */
const HEADER_MS_MAX = 2_000;

/** How often it is looked on which connections nothing happens. ms. */
const LOOK_EVERY_MS = 1_000;

/** Connections of all bridges on one listener; one bridge has 256 at most. */
const CONNECTIONS_MAX = 4_096;

/** Why a connection was closed without an answer. */
export type Refusal = "untrusted" | "header" | "late" | "full";

export interface ProxiedOptions extends Omit<ListenOptions, "at"> {
  readonly at: { readonly host: string; readonly port: number };
  readonly isTrusted: (peer: Ip) => boolean;
  readonly onRefusal: (refusal: Refusal, peer: Ip | undefined) => void;
}

/** @throws {ListenError} if the address is taken, not local, or not permitted. */
export async function listenProxied(options: ProxiedOptions): Promise<Listener> {
  const { at, isTrusted, onRefusal } = options;
  const onBehalf = new WeakMap<Socket, OnBehalf>();
  const http = makeServer({ ...options, onBehalf });
  const open = new Map<Socket, Progress>();
  const accept = async (socket: Socket): Promise<void> => {
    const via = peerOf(socket);
    const refuse = (refusal: Refusal): void => {
      socket.destroy();
      onRefusal(refusal, via);
    };
    socket.on("error", () => {}); // Its close tells as much.
    if (via === undefined || !isTrusted(via)) return refuse("untrusted");
    if (open.size >= CONNECTIONS_MAX) return refuse("full");
    open.set(socket, { bytes: 0, atMs: performance.now() });
    socket.once("close", () => open.delete(socket));
    const header = await readHeader(socket);
    if (header === "local")
      socket.destroy(); // A look whether somebody listens; now it knows.
    else if (typeof header === "string") refuse(header);
    else if (header !== undefined) {
      onBehalf.set(socket, { peer: header.source, via });
      http.emit("connection", socket);
    }
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    void accept(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(toListenError(error, at)));
    server.listen({ ...at, exclusive: true, backlog: BACKLOG }, resolve);
  });
  const look = setInterval(() => endStuck(open), LOOK_EVERY_MS);
  look.unref();
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : at.port;
  return {
    at: { host: at.host, port },
    async close(graceMs) {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open.keys()) if (isIdle(socket)) socket.destroy();
      const timer = setTimeout(() => {
        for (const socket of open.keys()) socket.destroy();
      }, graceMs);
      await ended;
      clearTimeout(timer);
      clearInterval(look);
    },
  };
}

interface Progress {
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * Ends connections that send no request, or no reply, as the runtimes do on listeners of their
 * own. Node knows here when a connection is silent, and not when it is slow; Bun knows neither.
 */
function endStuck(open: Map<Socket, Progress>): void {
  const nowMs = performance.now();
  for (const [socket, { bytes, atMs }] of open) {
    const limitMs = (isIdle(socket) ? IDLE_TIMEOUT_S : WAITING_TIMEOUT_S) * 1000;
    if (socket.bytesWritten !== bytes)
      open.set(socket, { bytes: socket.bytesWritten, atMs: nowMs });
    else if (nowMs - atMs > limitMs) socket.destroy();
  }
}

type Header = { readonly source: Ip } | "local" | "header" | "late" | undefined;

/** Reads exactly the header, and leaves the request. `undefined`: the peer has gone. */
function readHeader(socket: Socket): Promise<Header> {
  return new Promise((resolve) => {
    let prefix: Prefix | undefined;
    const end = (header: Header): void => {
      clearTimeout(timer);
      socket.off("readable", look);
      socket.off("end", gone);
      socket.off("close", gone);
      resolve(header);
    };
    const gone = (): void => {
      socket.destroy();
      end(undefined);
    };
    const timer = setTimeout(() => end("late"), HEADER_MS_MAX);
    const look = (): void => {
      if (prefix === undefined) {
        const bytes = read(socket, PREFIX_BYTES);
        if (bytes === undefined) return;
        prefix = readPrefix(bytes);
        if (prefix === undefined) {
          end("header");
          return;
        }
      }
      const rest = read(socket, prefix.length);
      if (rest === undefined) return;
      if (prefix.command === "local") {
        end("local");
        return;
      }
      const source = readSource(prefix, rest);
      end(source === undefined ? "header" : { source });
    };
    socket.on("readable", look);
    socket.once("end", gone);
    socket.once("close", gone);
  });
}

/** So many bytes, once they are there. */
function read(socket: Socket, length: number): Uint8Array | undefined {
  if (length === 0) return new Uint8Array();
  const bytes = socket.read(length) as Buffer | null;
  return bytes?.length === length ? bytes : undefined; // At its end there may be less.
}

/** The address alone: some runtimes print the zone of a link-local one. */
function peerOf(socket: Socket): Ip | undefined {
  return tryParseIp(socket.remoteAddress?.split("%", 1)[0]);
}
