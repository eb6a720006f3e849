/**
 * Talks to one metadata service: keeps its connection, and its session token where it gives one.
 *
 * A token is asked for once, renewed when it is refused, and appears nowhere else.
 */

import { openConnections } from "./connections.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Asked, ask, headerOf, type Reply } from "./http.ts";
import { REQUEST_MS, TOKEN_CHARS_MAX, TOKEN_TTL_S } from "./limits.ts";

const TOKEN_PATH = "/latest/api/token";
const TOKEN_BYTES_MAX = 4_096;

export interface GetOptions {
  readonly bytesMax: number;
  /** Quoted, as the server sent it. */
  readonly ifNoneMatch?: string;
  readonly timeoutMs?: number;
}

export interface Client {
  readonly endpoint: Endpoint;
  /** Whether the service has given us a session token. */
  readonly hasToken: boolean;
  /** GET, with the token where there is one. Rejects only when the signal is aborted. */
  get(target: string, options: GetOptions, signal: AbortSignal): Promise<Asked>;
  /** Asks for a session token; says whether there is one now. */
  fetchToken(signal: AbortSignal): Promise<boolean>;
  /** Ends the connections. */
  close(): void;
}

export function openClient(endpoint: Endpoint): Client {
  const connections = openConnections(endpoint);
  let token: string | undefined;
  /** Two requests that need a token at once ask for one. */
  let pending: Promise<boolean> | undefined;

  const send = async (target: string, options: GetOptions, signal: AbortSignal): Promise<Asked> => {
    const headers: Record<string, string> = {};
    if (token !== undefined) headers["x-aws-ec2-metadata-token"] = token;
    if (options.ifNoneMatch !== undefined) headers["if-none-match"] = options.ifNoneMatch;
    const { bytesMax, timeoutMs = REQUEST_MS } = options;
    const what = { method: "GET", target, headers, bytesMax, timeoutMs, connections } as const;
    const asked = await ask(endpoint, what, signal);
    // The server may close an idle connection just as it is used again: that is no failure.
    const wasIdle = asked.kind === "malformed" && asked.reused === true;
    return wasIdle ? await ask(endpoint, what, signal) : asked;
  };

  const renew = async (signal: AbortSignal): Promise<boolean> => {
    const asked = await ask(
      endpoint,
      {
        method: "PUT",
        target: TOKEN_PATH,
        headers: {
          "x-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_TTL_S),
          "content-length": "0",
        },
        bytesMax: TOKEN_BYTES_MAX,
        timeoutMs: REQUEST_MS,
        connections,
      },
      signal,
    );
    token = asked.kind === "reply" ? tokenIn(asked) : undefined;
    return token !== undefined;
  };

  const client = {
    endpoint,
    get hasToken() {
      return token !== undefined;
    },
    async get(target: string, options: GetOptions, signal: AbortSignal) {
      const asked = await send(target, options, signal);
      if (asked.kind !== "reply" || asked.status !== 401) return asked;
      // No token yet, or one that has ended: sessions end when the service starts anew.
      return (await client.fetchToken(signal)) ? await send(target, options, signal) : asked;
    },
    fetchToken(signal: AbortSignal) {
      pending ??= renew(signal).finally(() => {
        pending = undefined;
      });
      return pending;
    },
    close: () => connections.close(),
  };
  return client;
}

/** A token is printable and short: it becomes a header of ours. A page of HTML is none. */
function tokenIn(reply: Reply): string | undefined {
  const text = reply.body.toString("latin1").trim();
  const type = headerOf(reply, "content-type", 256) ?? "";
  if (reply.status !== 200 || text.length > TOKEN_CHARS_MAX || type.startsWith("text/html")) {
    return undefined;
  }
  return /^[\x21-\x3b\x3d\x3f-\x7e]+$/.test(text) ? text : undefined;
}
