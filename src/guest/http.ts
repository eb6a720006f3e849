/**
 * One request to a metadata service: plain HTTP, no proxy, no redirect, everything bounded.
 *
 * What goes wrong is an answer too, with the system's own code, because `discover` and `doctor`
 * have to tell one from the other. Only an abort by the caller rejects.
 */

import type { Socket } from "node:net";
import { type Connection, type Connections, connect, type Limit } from "./connections.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Headers, type Outcome, openReply } from "./reply.ts";

export interface Ask {
  readonly method: "GET" | "PUT";
  /** Path and query, as they go over the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A longer body is refused, not cut. */
  readonly bytesMax: number;
  /** From connecting to the last byte. */
  readonly timeoutMs: number;
  /** Where to find one and leave it; without them it is the only request of a connection. */
  readonly connections?: Connections;
}

export interface Reply {
  readonly kind: "reply";
  readonly status: number;
  /** By lower-case name; a list where one came more than once. */
  readonly headers: Headers;
  readonly body: Buffer;
  readonly ms: number;
}

export interface NoReply {
  readonly kind: "connection-refused" | "unreachable" | "timeout" | "malformed" | "too-large";
  /** The system's, or like them: `ECONNREFUSED`; `EPROTO` for what is no HTTP. */
  readonly code: string;
  readonly ms: number;
  /** Whether it was sent over a connection that had been used before. */
  readonly reused?: boolean;
}

export type Asked = Reply | NoReply;

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

/** Sends one request. Rejects only when the signal is aborted. */
export async function ask(endpoint: Endpoint, what: Ask, signal: AbortSignal): Promise<Asked> {
  const started = Date.now();
  const text = requestText(endpoint, what);
  signal.throwIfAborted();
  const limit = openLimit(what.timeoutMs, signal);
  let connection: Connection | undefined;
  try {
    connection = await (what.connections?.take(limit) ?? connectOnce(endpoint));
    const heard =
      connection === undefined
        ? EXPIRED
        : await converse(connection.socket, { text, bytesMax: what.bytesMax }, limit);
    signal.throwIfAborted();
    const ms = Date.now() - started;
    if (heard.kind !== "reply") {
      connection?.socket.destroy();
      return { ...heard, ms, reused: connection?.reused ?? false };
    }
    if (!heard.keeps || what.connections === undefined) connection?.socket.destroy();
    const { status, headers, body } = heard;
    return { kind: "reply", status, headers, body, ms };
  } catch (error) {
    connection?.socket.destroy();
    throw error;
  } finally {
    limit.end();
    if (connection !== undefined) what.connections?.give(connection);
  }
}

const EXPIRED = { kind: "timeout", code: "ETIMEDOUT" } as const;

async function connectOnce(endpoint: Endpoint): Promise<Connection> {
  return { socket: await connect(endpoint), reused: false };
}

/** Ends a wait when the time is up, or the signal is aborted; whoever waited looks which. */
function openLimit(timeoutMs: number, signal: AbortSignal): Limit & { end(): void } {
  let isOver = false;
  let stop = (): void => {};
  const over = (): void => {
    isOver = true;
    stop();
  };
  const timer = setTimeout(over, timeoutMs);
  signal.addEventListener("abort", over);
  return {
    get isOver() {
      return isOver;
    },
    onOver(call) {
      stop = call;
    },
    end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
    },
  };
}

/** Sends it and reads the reply. */
function converse(
  socket: Socket,
  { text, bytesMax }: { readonly text: string; readonly bytesMax: number },
  limit: Limit,
): Promise<Outcome | Pick<NoReply, "kind" | "code">> {
  return new Promise((resolve) => {
    const reader = openReply(bytesMax);
    const end = (outcome: Outcome | Pick<NoReply, "kind" | "code">): void => {
      socket.off("data", data).off("end", ended).off("close", ended).off("error", failed);
      resolve(outcome);
    };
    const data = (bytes: Buffer): void => {
      const outcome = reader.push(bytes);
      if (outcome !== undefined) end(outcome);
    };
    const ended = (): void => end(reader.end());
    const failed = (error: NodeJS.ErrnoException): void =>
      end({ kind: kindOf(error), code: codeOf(error) });
    limit.onOver(() => end(EXPIRED));
    if (limit.isOver) return end(EXPIRED);
    if (socket.destroyed) return ended();
    socket.on("data", data).on("end", ended).on("close", ended).on("error", failed);
    socket.write(text, "latin1");
  });
}

/**
 * The request as it goes over the wire.
 *
 * @throws {Error} for what would end a line of it: paths, validators and tokens are checked where
 *   they come from, so that is a bug.
 */
function requestText(
  endpoint: Endpoint,
  { method, target, headers = {}, connections }: Ask,
): string {
  const fields = Object.entries({
    host: hostOf(endpoint),
    accept: "*/*",
    "user-agent": "frontdesk-guest",
    ...(connections === undefined ? { connection: "close" } : {}),
    ...headers,
  });
  const lines = fields.map(([name, value]) => `${name}: ${value}`);
  const isSafe =
    /^\/[\x21-\x7e]*$/.test(target) &&
    lines.every((line) => /^[\t\x20-\x7e\x80-\xff]+$/.test(line));
  if (!isSafe) throw new Error(`not to be sent: ${JSON.stringify([target, ...lines])}`);
  return `${[`${method} ${target} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}

/** A zone means something on this machine only: RFC 9110 and RFC 6874 keep it out of the header. */
function hostOf({ url }: Endpoint): string {
  return url.slice("http://".length).replace(/%25[^\]]*/, "");
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
