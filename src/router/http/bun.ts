/**
 * The rim on Bun.serve: half the CPU of a router's request is spent here, so that no more is done
 * than must be. Its traps, each held by the contract suite:
 *
 * - SO_REUSEPORT is on by default, and two routers on one address would split the guests;
 * - an exception in `fetch` sends an HTML page, unless `development` is off and `error` answers;
 * - `req.url` is built from the Host header, and is a bare path when that is invalid;
 * - a `Connection: close` is obeyed, but not echoed.
 */

import type { Body } from "../../model/binding.ts";
import { raiseBacklogs } from "./backlog.ts";
import { releaseCode } from "./code.ts";
import { IDLE_TIMEOUT_S, WAITING_TIMEOUT_S } from "./limits.ts";
import { toListenError } from "./listen-error.ts";
import { contentFor, fieldsOf, wantsClose } from "./reply.ts";
import type {
  Handler,
  ListenAddress,
  Listener,
  ListenOptions,
  Rim,
  RimReply,
  RimRequest,
} from "./rim.ts";
import { isShared, type Reader, SharedBodies } from "./shared-body.ts";

/** Length of `http://`: a path starts at the first slash behind it. */
const AUTHORITY_START = 7;

/** One budget for all listeners. Many replies send one Blob; of bytes each has a copy. */
const bodies = new SharedBodies({ wrap: (bytes) => new Blob([plain(bytes)]) });

class BunRequest implements RimRequest {
  readonly #request: Request;
  readonly #server: Bun.Server<undefined> | undefined;
  readonly method: string;
  readonly target: string;
  readonly peer: string | undefined;
  /** Whether its reply is Bun's by now. */
  isHandedOver = false;

  /** @param server `undefined` on a unix socket, where there is no peer */
  constructor(request: Request, server?: Bun.Server<undefined>) {
    const { url } = request;
    this.#request = request;
    this.#server = server;
    this.method = request.method;
    if (url.charCodeAt(0) === 47) this.target = url;
    else {
      const slash = url.indexOf("/", AUTHORITY_START);
      this.target = slash === -1 ? "/" : url.slice(slash);
    }
    this.peer = server?.requestIP(request)?.address;
  }

  /** What its reply is to the shared bodies. */
  get reader(): Reader {
    const server = this.#server;
    const request = this.#request;
    const guest = this.peer ?? "";
    // Nothing says when a reply on a unix socket has gone out. No guests are there.
    if (server === undefined) return { guest, isOpen: () => !this.isHandedOver, cut: () => {} };
    return {
      guest,
      // Bun knows no peer any more of a request whose reply has gone out.
      isOpen: () => server.requestIP(request) !== null,
      // Bun looks every 4 s, so that one second is over then, whatever is read meanwhile.
      cut: () => server.timeout(request, 1),
    };
  }

  /** How long its connection may be without a byte; on a unix socket there is no limit. */
  set patienceS(seconds: number) {
    this.#server?.timeout(this.#request, seconds);
  }

  /** Resolves when its connection has ended; at once on a unix socket. */
  async gone(): Promise<void> {
    if (!this.#server?.requestIP(this.#request)) return;
    const { signal } = this.#request;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }

  async body(): Promise<Uint8Array> {
    return new Uint8Array(await this.#request.arrayBuffer());
  }
}

export const bunRim: Rim = {
  ...{ name: "bun", listen, releaseCode },
  collect: () => Bun.gc(false),
  collectNow: () => Bun.gc(true),
};

async function listen(options: ListenOptions): Promise<Listener> {
  const { at, handler, bodyBytesMax } = options;
  const shared = {
    development: false,
    idleTimeout: IDLE_TIMEOUT_S,
    maxRequestBodySize: bodyBytesMax,
    error: () => new Response(null, { status: 500 }),
  };
  try {
    if ("unix" in at) {
      const { idleTimeout: _, ...forUnix } = shared; // Bun has no idle timeout on unix sockets.
      const server = Bun.serve({
        ...forUnix,
        unix: at.unix,
        fetch: (request) => serve(handler, new BunRequest(request)),
      });
      return listenerOf(server, at);
    }
    const server = Bun.serve({
      ...shared,
      hostname: at.host,
      port: at.port,
      reusePort: false,
      fetch: (request, server) => serve(handler, new BunRequest(request, server)),
    });
    raiseBacklogs();
    return listenerOf(server, { host: at.host, port: server.port ?? at.port });
  } catch (error) {
    throw toListenError(error, at);
  }
}

function serve(handler: Handler, request: BunRequest): Response | Promise<Response> {
  // Bun joins two Host fields. RFC 9112 section 3.2: such a request is refused.
  if (request.header("host")?.includes(",")) return refuse(400);
  const reply = handler(request);
  return reply instanceof Promise
    ? reply.then((reply) => toResponse(reply, request))
    : toResponse(reply, request);
}

function refuse(status: number): Response {
  return new Response(null, { status, headers: { connection: "close" } });
}

function toResponse(reply: RimReply, request: BunRequest): Response | Promise<Response> {
  const headers = fieldsOf(reply, wantsClose(request));
  const { body, status } = reply;
  if (isShared(body)) return shared(body, { reply, headers, request });
  return new Response(typeof body === "object" ? plain(body) : (body ?? null), { status, headers });
}

interface SharedReply {
  readonly reply: RimReply;
  readonly headers: Record<string, string>;
  readonly request: BunRequest;
}

async function shared(body: Body, { reply, headers, request }: SharedReply): Promise<Response> {
  const { status, onStatus } = reply;
  if (request.method === "HEAD") {
    onStatus?.(status);
    headers["content-length"] = String(body.length);
    return new Response(null, { status, headers });
  }
  request.patienceS = WAITING_TIMEOUT_S;
  const content = await contentFor(reply, body, { bodies, reader: request.reader });
  if (content !== undefined) {
    request.patienceS = IDLE_TIMEOUT_S;
    request.isHandedOver = true;
    return new Response(content, { status, headers });
  }
  await request.gone();
  return refuse(503); // To nobody, but on a unix socket.
}

/** The types of Response know no buffer that is shared; ours never are. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}

function listenerOf(server: Bun.Server<undefined>, at: ListenAddress): Listener {
  return {
    at,
    async close(graceMs) {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          void server.stop(true);
          resolve();
        }, graceMs);
      });
      await Promise.race([server.stop(false), patience]);
      clearTimeout(timer);
    },
  };
}
