/**
 * The rim on `node:http`, for CPUs that Bun does not run on (they lack SSE4.2, as QEMU's default
 * model does) and for Node.js 18 and newer.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Reply } from "../../protocol/http.ts";
import {
  BACKLOG,
  HEADER_BYTES_MAX,
  HEADER_FIELDS_MAX,
  HEADERS_TIMEOUT_MS,
  IDLE_TIMEOUT_S,
  PIPELINED_MAX,
  REQUEST_TIMEOUT_MS,
  WAITING_TIMEOUT_S,
} from "./limits.ts";
import { toListenError } from "./listen-error.ts";
import { contentFor, fieldsOf, wantsClose } from "./reply.ts";
import type { Handler, ListenAddress, Listener, ListenOptions, Rim, RimRequest } from "./rim.ts";
import { isShared, type Reader, SharedBodies } from "./shared-body.ts";

/** Node 18's parser takes a space before the colon, which RFC 9112 section 5.1 says to refuse. */
const PARSER_IS_LENIENT = Number(process.versions.node.split(".", 1)[0]) < 20;

/** How a request is refused that no handler saw. */
const REFUSAL = { head: false, close: true };

/** One memory, one budget for all listeners. */
const bodies = new SharedBodies({ wrap: (bytes) => bytes });

/** For whom a connection is, and who says so. */
export interface OnBehalf {
  readonly peer: string;
  readonly via: string;
}

interface ServerOptions extends Omit<ListenOptions, "at"> {
  /** Where others vouch for who asks: their connections, and nobody else's. */
  readonly onBehalf?: WeakMap<Socket, OnBehalf>;
}

class NodeRequest implements RimRequest {
  readonly #message: IncomingMessage;
  readonly #bodyBytesMax: number;
  readonly method: string;
  readonly target: string;
  readonly peer: string | undefined;
  readonly via: string | undefined;

  constructor(message: IncomingMessage, { bodyBytesMax, onBehalf }: ServerOptions) {
    const { socket } = message;
    const other = onBehalf?.get(socket);
    this.#message = message;
    this.#bodyBytesMax = bodyBytesMax;
    this.method = message.method ?? "GET";
    this.target = originForm(message.url ?? "/");
    this.peer = onBehalf === undefined ? socket.remoteAddress : other?.peer;
    this.via = other?.via;
  }

  header(name: string): string | undefined {
    const value = this.#message.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  async body(): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.#message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > this.#bodyBytesMax) throw new RangeError("request body too long");
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }
}

const ABSOLUTE = /^https?:\/\/[^/?#]*/i;

/** `http://host/path` as a target means `/path`: this is no proxy. */
function originForm(url: string): string {
  if (url.charCodeAt(0) === 47) return url;
  const absolute = ABSOLUTE.exec(url);
  if (absolute === null) return `/${url}`;
  const rest = url.slice(absolute[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

export const nodeRim: Rim = { name: "node", listen };

/** A server that is given its connections; `listen` gives it those of an address. */
export function makeServer(options: ServerOptions): Server {
  const { handler, bodyBytesMax } = options;
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_S * 1000,
    connectionsCheckingInterval: 2000,
    noDelay: true,
    // Node would answer these itself, with bytes of its own: no Host, and headers beyond a count.
    requireHostHeader: false,
  });
  server.maxHeadersCount = 0; // HEADER_BYTES_MAX bounds them, and none is left out unseen.
  server.timeout = WAITING_TIMEOUT_S * 1000;
  server.on("request", (message, response) => {
    const exchange = { message, response, bodyBytesMax };
    void inTurn(message.socket, response, () =>
      serve(handler, new NodeRequest(message, options), exchange),
    );
  });
  // Without these Node would answer with text of its own, or hang up on CONNECT.
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const isLong = error.code === "HPE_HEADER_OVERFLOW";
    refuse(socket, isLong ? "431 Request Header Fields Too Large" : "400 Bad Request");
  });
  server.on("connect", (_message, socket) => refuse(socket, "405 Method Not Allowed"));
  server.on("checkExpectation", (message, response) => server.emit("request", message, response));
  return server;
}

async function listen(options: ListenOptions): Promise<Listener> {
  const { at } = options;
  const server = makeServer(options);
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(toListenError(error, at)));
    if ("unix" in at) server.listen(at.unix, resolve);
    else {
      const { host, port } = at;
      server.listen({ host, port, exclusive: true, backlog: BACKLOG }, resolve);
    }
  });
  return listenerOf(server, at, open);
}

/** Why a request is refused that Node takes: RFC 9112, and what Bun refuses by itself. */
function refusalOf(message: IncomingMessage, bodyBytesMax: number): number | undefined {
  const { headers, rawHeaders, httpVersionMinor, url = "/" } = message;
  if (rawHeaders.length > 2 * HEADER_FIELDS_MAX) return 431;
  if (PARSER_IS_LENIENT && rawHeaders.some(isBadName)) return 400;
  if (httpVersionMinor > 0 && headers.host === undefined) return 400;
  if (rawHeaders.filter(isHostName).length > 1) return 400;
  const encoding = headers["transfer-encoding"];
  // Who frames a message in another way than its reader can smuggle a request in it.
  if (encoding !== undefined && (encoding.toLowerCase() !== "chunked" || httpVersionMinor === 0)) {
    return 400;
  }
  if (url.charCodeAt(0) !== 47 && url !== "*" && !ABSOLUTE.test(url)) return 400;
  return Number(headers["content-length"] ?? 0) > bodyBytesMax ? 413 : undefined;
}

function isHostName(text: string, place: number): boolean {
  return place % 2 === 0 && text.length === 4 && text.toLowerCase() === "host";
}

/** `rawHeaders` has names at even places, values at odd ones. */
function isBadName(text: string, place: number): boolean {
  return place % 2 === 0 && /[ \t]$/.test(text);
}

/** Of a connection: when its last reply has gone out. */
const replied = new WeakMap<Socket, Promise<void>>();

/** Requests of a connection that have no reply yet. */
const underWay = new WeakMap<Socket, number>();

/** Whether nobody waits for a reply on it. */
export function isIdle(socket: Socket): boolean {
  return (underWay.get(socket) ?? 0) === 0;
}

/**
 * Runs one request of a connection at a time, the next when the reply before has gone out, and
 * hangs up on a connection with many that wait. Else a guest that sends requests and reads no
 * reply fills our memory: so little is written that Node never stops reading.
 */
async function inTurn(
  socket: Socket,
  response: ServerResponse,
  run: () => Promise<void>,
): Promise<void> {
  const ahead = underWay.get(socket) ?? 0;
  if (ahead > PIPELINED_MAX) {
    socket.destroy();
    return;
  }
  underWay.set(socket, ahead + 1);
  const before = replied.get(socket);
  const gone = new Promise<void>((resolve) => {
    response.once("finish", resolve);
    response.once("close", resolve);
  });
  replied.set(socket, gone);
  void gone.then(() => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
  if (before !== undefined) await before;
  if (!socket.destroyed) await run();
}

interface Exchange {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly bodyBytesMax: number;
}

async function serve(handler: Handler, request: NodeRequest, exchange: Exchange): Promise<void> {
  const { message, response, bodyBytesMax } = exchange;
  try {
    const refusal = refusalOf(message, bodyBytesMax);
    if (refusal !== undefined) {
      send(response, { status: refusal }, REFUSAL);
      return;
    }
    const pending = handler(request);
    const reply = pending instanceof Promise ? await pending : pending;
    const how = { head: request.method === "HEAD", close: wantsClose(request) };
    const { body } = reply;
    if (isShared(body) && !how.head) {
      const reader = readerOf(request, exchange);
      const content = await contentFor(reply, body, { bodies, reader });
      if (content !== undefined) send(response, { ...reply, body: content }, how);
    } else {
      send(response, reply, how);
      reply.onStatus?.(reply.status);
    }
  } catch (error) {
    if (response.headersSent) response.destroy();
    else {
      const status = error instanceof RangeError ? 413 : 500;
      send(response, { status }, REFUSAL);
    }
  }
}

interface How {
  readonly head: boolean;
  readonly close: boolean;
}

function readerOf({ peer }: NodeRequest, { message, response }: Exchange): Reader {
  return {
    guest: peer ?? "",
    isOpen: () => !response.writableFinished && !response.destroyed,
    cut: () => void message.socket.destroy(),
  };
}

/** The body is text, bytes, or one whose length alone is sent. */
function send(response: ServerResponse, reply: Reply, how: How): void {
  const fields: Record<string, string | number> = fieldsOf(reply, how.close);
  const { body } = reply;
  if (reply.status !== 304) {
    fields["content-length"] =
      typeof body === "string" ? Buffer.byteLength(body) : (body?.length ?? 0);
  }
  response.writeHead(reply.status, fields);
  const isSent = typeof body === "string" || body instanceof Uint8Array;
  if (how.head || !isSent || reply.status === 304) response.end();
  else response.end(body);
}

/** Reads nothing more: Node would parse it, fail again, and complain on our standard error. */
function refuse(socket: unknown, status: string): void {
  if (!(socket instanceof Socket) || socket.destroyed) return;
  // Else it has had a reply: this one closes.
  if (socket.writable && socket.bytesWritten === 0) {
    socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
  socket.destroy(); // What was written is the kernel's by now.
}

function listenerOf(server: Server, at: ListenAddress, open: ReadonlySet<Socket>): Listener {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    at: "unix" in at ? at : { host: at.host, port },
    async close(graceMs) {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // That passes by connections that never sent a byte. (Bun's `bytesRead` is always 0.)
      const silent = (socket: Socket) => process.versions.bun === undefined && !socket.bytesRead;
      for (const socket of open) if (silent(socket)) socket.destroy();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
