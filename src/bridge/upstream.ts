/**
 * Asks the upstream, on a connection of its own for each request, so that nothing of one guest's
 * exchange can reach another's. All of it is bounded: the time to the headers, the time to the
 * end, the length.
 */

import { Agent, type IncomingMessage, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import type { Ip } from "../model/address.ts";
import { proxyHeader } from "../protocol/proxy-protocol.ts";
import type { Target } from "./kernel.ts";
import { AT_ONCE_BYTES_MAX, BODY_BYTES_MAX, EXCHANGE_MS_MAX, HEADERS_MS_MAX } from "./limits.ts";

/** How an upstream failed: it cannot be had or says what it should not, or takes too long. */
export type Failure = 502 | 504;

/** As whom the upstream is asked. */
export type As =
  /** From an address that the kernel turns into the guest's. */
  | { readonly localAddress: Ip }
  /** With the guest's address in a PROXY header. */
  | { readonly proxyFor: Ip };

export interface Ask {
  readonly upstream: Target;
  readonly as: As;
  readonly method: "GET" | "HEAD";
  readonly path: string;
  /** The whole of what goes upstream beside Host and Connection. */
  readonly headers: Readonly<Record<string, string>>;
  /** Told once, when the exchange is over, whatever became of it. */
  readonly onEnd: () => void;
}

export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  /** What the upstream says its body has; `undefined` where it says nothing. Bytes. */
  readonly length: number | undefined;
  /** The body, whole, or how it failed. */
  read(bytesMax: number): Promise<Uint8Array | Failure>;
  /** Ends the exchange. */
  close(): void;
}

/** Never rejects. */
export function askUpstream(ask: Ask): Promise<Answer | Failure> {
  const { upstream, method, path } = ask;
  const options: RequestOptions = {
    ...{ host: upstream.host, port: upstream.port, method, path },
    headers: { ...ask.headers, host: hostOf(upstream), connection: "close" },
    agent: agentFor(ask),
  };
  return new Promise((resolve) => {
    const sent = request(options);
    const timer = setTimeout(() => end(504), HEADERS_MS_MAX);
    let isOver = false;
    let isAnswered = false;
    const end = (failure: Failure): void => {
      clearTimeout(timer);
      if (!isOver) {
        isOver = true;
        ask.onEnd();
        sent.destroy();
      }
      resolve(failure);
    };
    sent.on("error", () => end(502));
    sent.on("close", () => {
      if (!isAnswered) end(502);
    });
    // Nobody asked for another protocol.
    sent.on("upgrade", (_message, socket) => {
      socket.destroy();
      end(502);
    });
    sent.on("response", (message) => {
      clearTimeout(timer);
      isAnswered = true;
      if (isOver) return message.destroy();
      const answer = answerOf(message, method, () => end(502));
      if (answer === undefined) end(502);
      else resolve(answer);
    });
    sent.end();
  });
}

/** An agent for one connection: that is how both runtimes let us make it ourselves. */
function agentFor({ upstream, as }: Ask): Agent {
  const agent = new Agent({ keepAlive: false });
  const to = { host: upstream.host, port: upstream.port };
  const created = agent as unknown as { createConnection: () => unknown };
  created.createConnection = () => {
    if ("localAddress" in as) return connect({ ...to, localAddress: as.localAddress });
    const socket = connect(to);
    socket.write(proxyHeader({ from: { host: as.proxyFor, port: 0 }, to }));
    return socket;
  };
  return agent;
}

function answerOf(message: IncomingMessage, method: string, over: () => void): Answer | undefined {
  const status = message.statusCode ?? 0;
  const header = (name: string): string | undefined => {
    const value = message.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  const said = header("content-length");
  const length = said === undefined ? undefined : Number(said);
  const isFramed = length === undefined || (Number.isSafeInteger(length) && length >= 0);
  if (status < 200 || status > 599 || !isFramed || (length ?? 0) > BODY_BYTES_MAX) return undefined;
  // What is compressed would have to be said so to the guest, and no client expects it.
  if (header("content-encoding") !== undefined) return undefined;
  message.on("error", () => {}); // Whoever reads hears of it.
  const timeMs = (length ?? 0) > AT_ONCE_BYTES_MAX ? EXCHANGE_MS_MAX : HEADERS_MS_MAX;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    close();
  }, timeMs);
  const close = (): void => {
    clearTimeout(timer);
    message.destroy();
    over();
  };
  return {
    ...{ status, header, length, close },
    async read(bytesMax) {
      try {
        const bytes = await readAll(message, bytesMax);
        const isWhole = method === "HEAD" || length === undefined || bytes?.length === length;
        if (bytes === undefined || !isWhole || isLate) return isLate ? 504 : 502;
        return bytes;
      } catch {
        return isLate ? 504 : 502;
      } finally {
        close();
      }
    },
  };
}

/** `undefined` if it is longer than it may be. Rejects where the connection ends before it does. */
function readAll(message: IncomingMessage, bytesMax: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const broken = (): void => reject(new Error("the upstream went away"));
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else resolve(undefined);
    });
    message.on("end", () => (message.complete ? resolve(Buffer.concat(chunks)) : broken()));
    message.on("error", broken);
    message.on("close", broken);
    if (message.destroyed) broken();
  });
}

function hostOf({ host, port }: Target): string {
  return port === 80 ? host : `${host}:${port}`;
}
