/**
 * One request to a metadata service: plain HTTP, no proxy, no redirect, everything bounded.
 *
 * What goes wrong is an answer too, with the system's own code, because `discover` and `doctor`
 * have to tell one from the other. Only an abort by the caller rejects.
 */

import type { Agent, IncomingMessage } from "node:http";
import type { Endpoint } from "./endpoint.ts";
import { HEADER_BYTES_MAX } from "./limits.ts";

export interface Ask {
  readonly method: "GET" | "PUT";
  /** Path and query, as they go over the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A longer body is refused, not cut. */
  readonly bytesMax: number;
  /** From connecting to the last byte. */
  readonly timeoutMs: number;
  readonly agent?: Agent;
}

export interface Reply {
  readonly kind: "reply";
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly ms: number;
}

export interface NoReply {
  readonly kind: "connection-refused" | "unreachable" | "timeout" | "malformed" | "too-large";
  /** The system's or the parser's: `ECONNREFUSED`, `HPE_INVALID_CONSTANT`. */
  readonly code: string;
  readonly ms: number;
  /** Whether it was sent over a connection that had been used before. */
  readonly reused?: boolean;
}

export type Asked = Reply | NoReply;

const AGENT = { "user-agent": "frontdesk-guest" };

const UNREACHABLE: ReadonlySet<string> = new Set([
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETDOWN",
  "EHOSTDOWN",
  "EADDRNOTAVAIL",
  "EINVAL",
  "EAFNOSUPPORT",
  "EACCES",
  "EPERM",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** An agent that keeps its connections; it knows no proxy, whatever the environment says. */
export async function openAgent(): Promise<Agent> {
  const http = await import("node:http");
  return new http.Agent({ keepAlive: true, maxSockets: 4 });
}

/** Sends one request. Rejects only when the signal is aborted. */
export async function ask(endpoint: Endpoint, what: Ask, signal: AbortSignal): Promise<Asked> {
  // Loaded when it is needed: an answer from the cache does without.
  const http = await import("node:http");
  const started = Date.now();
  const since = (): number => Date.now() - started;
  signal.throwIfAborted();
  return await new Promise<Asked>((resolve, reject) => {
    const request = http.request({
      host: endpoint.host,
      port: endpoint.port,
      method: what.method,
      path: what.target,
      // The agent is never the global one, which may have been told of a proxy.
      agent: what.agent ?? false,
      maxHeaderSize: HEADER_BYTES_MAX,
      headers: { host: hostOf(endpoint), accept: "*/*", ...AGENT, ...what.headers },
    });
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      settle();
      request.destroy();
    };
    const fail = (kind: NoReply["kind"], code: string): void =>
      end(() => resolve({ kind, code, ms: since(), reused: request.reusedSocket }));
    const abort = (): void => end(() => reject(signal.reason));
    const timer = setTimeout(() => fail("timeout", "ETIMEDOUT"), what.timeoutMs);
    signal.addEventListener("abort", abort);
    request.on("error", (error: NodeJS.ErrnoException) => fail(kindOf(error), codeOf(error)));
    request.on("response", (response) => {
      read(response, what.bytesMax, (got) => {
        if (typeof got === "string") return fail(got, got === "malformed" ? "EPIPE" : "EMSGSIZE");
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        const { statusCode: status = 0, headers } = response;
        resolve({ kind: "reply", status, headers, body: got, ms: since() });
      });
    });
    request.end();
  });
}

/** A zone means something on this machine only: RFC 9110 and RFC 6874 keep it out of the header. */
function hostOf({ url }: Endpoint): string {
  return url.slice("http://".length).replace(/%25[^\]]*/, "");
}

/** The whole body, or why there is none. */
function read(
  response: IncomingMessage,
  bytesMax: number,
  done: (got: Buffer | "malformed" | "too-large") => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const encoding = response.headers["content-encoding"] ?? "identity";
  // Bytes are taken as they are: a small body that unpacks into a large one is no answer.
  if (encoding !== "identity") {
    done("malformed");
    return;
  }
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) done("too-large");
    else chunks.push(chunk);
  });
  response.on("end", () => done(response.complete ? Buffer.concat(chunks) : "malformed"));
  response.on("error", () => done("malformed"));
  response.on("aborted", () => done("malformed"));
}

function codeOf(error: NodeJS.ErrnoException): string {
  return typeof error.code === "string" ? error.code : "UNKNOWN";
}

function kindOf(error: NodeJS.ErrnoException): NoReply["kind"] {
  const code = codeOf(error);
  if (code === "ECONNREFUSED") return "connection-refused";
  if (code === "ETIMEDOUT") return "timeout";
  return UNREACHABLE.has(code) ? "unreachable" : "malformed";
}

/** A header that came once, and is not too long to be meant. */
export function headerOf(reply: Reply, name: string, charactersMax: number): string | undefined {
  const value = reply.headers[name];
  return typeof value === "string" && value.length <= charactersMax ? value : undefined;
}
