/**
 * The listener of the controller's APIs: node:http or node:https, on both runtimes.
 *
 * It bounds headers, time and connections, and closes gracefully. It is never a guest's listener:
 * an address that guests reach is refused before it is opened, and a connection that comes over
 * one all the same is closed unread.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import { tryParseIp } from "../model/address.ts";
import { ConfigError, UsageError } from "../model/errors.ts";
import { Connections } from "./connections.ts";
import { apiListenError } from "./listen-error.ts";

/** Request line and headers: a GET of a CloudStack client carries its user data there. Bytes. */
const HEADER_BYTES_MAX = 64 * 1024;

/** A longer body is not looked at. Each API has a smaller limit, and words for it. Bytes. */
const BODY_BYTES_MAX: number = 64 * 1024 * 1024;

/** Slow senders hold nothing for long. ms. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** A client's next request comes at once, or on a new connection. ms. */
const IDLE_TIMEOUT_MS = 15_000;
/** How often Node.js looks for connections that are beyond these. ms. */
const CHECK_MS = 2000;

/** What is under way at the end may take so long; then connections are cut. ms. */
const DRAIN_MS = 5000;

/** Of a key's mode: a group may read it, as services that renew certificates have it. */
const OTHERS = 0o037;

/** A client keeps its connection after its last answer; how often we look for such. ms. */
const IDLE_LOOK_MS = 50;

/** Where guests ask for metadata, in every cloud. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(["169.254.169.254", "fd00:ec2::254"]);

/** What an app knows of a connection, in its `c.env`. */
export interface ConnectionBindings {
  /** The address of who asks; absent in tests without a socket. */
  readonly peer?: string;
  /** The address of this machine that was asked. */
  readonly local?: string;
  /** Aborts when the listener closes: what answers without end, ends. */
  readonly closing?: AbortSignal;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A certificate and its key, as PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** A Hono app's. */
export type Fetch = (request: Request, env: ConnectionBindings) => Response | Promise<Response>;

export interface ApiListenOptions {
  readonly listen: HostPort;
  readonly fetch: Fetch;
  readonly tls?: TlsFiles;
  /** Where this machine answers guests. */
  readonly guests?: readonly HostPort[];
}

export interface ApiListener extends AsyncDisposable {
  /** `http://127.0.0.1:8776`; with the port that was chosen, if 0 was given. */
  readonly url: string;
  /** Takes no more requests, ends what is under way, and resolves. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * @throws {UsageError} if it is where guests ask.
 * @throws {ConfigError} if a certificate or a key cannot be used.
 * @throws {ListenError} if the address cannot be listened on.
 */
export async function openApiListener(options: ApiListenOptions): Promise<ApiListener> {
  const { listen, fetch, tls, guests = [] } = options;
  checkApiListen(listen, guests);
  const closing = new AbortController();
  const server = makeServer(tls);
  const connections = new Connections();
  bound(server, guests, connections);
  serve(server, answering(fetch, closing.signal, connections), connections);
  await listening(server, listen);
  const { address, family, port } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  let ended: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing.abort();
    ended ??= end(server);
    return ended;
  };
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${port}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Refuses an address where guests ask, or could. Loopback is not theirs: in a lab both planes have
 * ports of their own there.
 *
 * @throws {UsageError} that says which listener it is.
 */
export function checkApiListen(listen: HostPort, guests: readonly HostPort[]): void {
  const host = tryParseIp(listen.host);
  const at = `--api-listen ${listen.host}:${listen.port}`;
  const remedy = "choose an address that guests do not reach, as 127.0.0.1:8776";
  if (host === undefined) throw new UsageError(`${at}: write ADDR:PORT or [IPV6]:PORT`);
  if (METADATA_ADDRESSES.has(host)) {
    throw new UsageError(`${at}: guests ask for metadata there; ${remedy}`);
  }
  const isAny = isEvery(host);
  for (const guest of guests) {
    const theirs = tryParseIp(guest.host) ?? guest.host;
    const where = `${guest.host}:${guest.port}`;
    if (theirs === host && (guest.port === listen.port || !isLoopback(host))) {
      throw new UsageError(`${at}: guests are answered on ${where}; ${remedy}`);
    }
    if (isAny && !isLoopback(theirs)) {
      throw new UsageError(`${at}: every address includes the guests' ${where}; ${remedy}`);
    }
  }
}

export function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

/** Whether it stands for all addresses. */
export function isEvery(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function makeServer(tls: TlsFiles | undefined): Server {
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_MS,
    handshakeTimeout: HEADERS_TIMEOUT_MS, // Of TLS.
    noDelay: true,
  };
  return tls === undefined ? createServer(limits) : secure(tls, limits);
}

/** What an app answers, as the runtime's server asks for it. It rejects for nothing. */
function answering(fetch: Fetch, closing: AbortSignal, connections: Connections): RequestListener {
  const listener = getRequestListener(
    async (request, env) => {
      // This server has no HTTP/2.
      const message = env.incoming as IncomingMessage;
      const response = env.outgoing as ServerResponse;
      const { remoteAddress: peer, localAddress: local } = message.socket;
      const addresses = {
        ...(peer !== undefined && { peer }),
        ...(local !== undefined && { local }),
      };
      const answer = await fetch(whole(request), { closing, ...addresses });
      connections.answers({ message, response }, isEventStream(answer));
      return answer;
    },
    // Bun's and Node's own Request and Response stay what they are for everybody else.
    { overrideGlobalObjects: false, errorHandler: statusOf },
  );
  return (message, response) => void listener(message, response);
}

function serve(server: Server, answer: RequestListener, connections: Connections): void {
  server.on("request", (message, response) => {
    void connections.inTurn({ message, response }, () => {
      const refusal = refusalOf(message);
      if (refusal === undefined) answer(message, response);
      else {
        response.writeHead(refusal, { connection: "close" }).end();
        message.socket.destroySoon();
      }
    });
  });
}

/** Why a request reaches no app: its body is too long, or it does not say whom it asks. */
function refusalOf({ headers, rawHeaders }: IncomingMessage): number | undefined {
  if (Number(headers["content-length"] ?? 0) > BODY_BYTES_MAX) return 413;
  // RFC 9112 section 3.2: a proxy before us may have looked at the other one.
  const hosts = rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === "host");
  return hosts.length > 1 ? 400 : undefined;
}

/** Who follows events bounds by itself how long a reader may take. */
function isEventStream({ headers }: Response): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true;
}

/** A request that is none, as by its `Host`, reaches no app. */
function statusOf(error: unknown): Response {
  return new Response(null, { status: error instanceof RequestError ? 400 : 500 });
}

/**
 * Of a request without a length, whoever bounds its body makes another one. The library's own is
 * none of the runtime's: Bun would make a GET of it, and Node.js nothing.
 */
function whole(request: Request): Request {
  if (!request.headers.has("transfer-encoding")) return request;
  const { url, method, headers, body, signal } = request;
  return new Request(url, { method, headers, body, signal, duplex: "half" } as RequestInit);
}

function secure({ cert, key }: TlsFiles, limits: object): Server {
  try {
    checkPrivate(key);
    const files = { cert: readFileSync(cert), key: readFileSync(key) };
    // Bun would find it out for the first client only.
    const isPair = new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key));
    if (!isPair) throw new Error("the key is another certificate's");
    return createTlsServer({ ...limits, ...files, minVersion: "TLSv1.2" });
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const message = /^E[A-Z]+$/.test(code) ? `cannot be read (${code})` : "do not fit together";
    throw new ConfigError(`the certificate ${cert} and its key ${key} ${message}`, undefined, {
      cause,
    });
  }
}

/** @throws {ConfigError} if others may read it. What is not there, who reads it says. */
function checkPrivate(key: string): void {
  const mode = statSync(key, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & OTHERS) === 0) return;
  const text = (mode & 0o777).toString(8);
  throw new ConfigError(`${key} has mode ${text}: others may use it; run chmod 600 on it`);
}

/** Connections over a guest's address are closed unread. */
function bound(server: Server, guests: readonly HostPort[], connections: Connections): void {
  const theirs = guests.map(({ host }) => host).filter((host) => !isLoopback(host));
  const refused = new Set([...METADATA_ADDRESSES, ...theirs]);
  server.on("connection", (socket: Socket) => {
    const local = tryParseIp(socket.localAddress);
    if (local !== undefined && refused.has(local)) socket.destroy();
    else connections.take(socket);
  });
}

function listening(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: one that cannot be accepted, where no file can be opened, ends nothing.
    server.on("error", (error: NodeJS.ErrnoException) => {
      reject(apiListenError(error, { host, port }));
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

async function end(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  server.closeIdleConnections();
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
