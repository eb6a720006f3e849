/**
 * One HTTP exchange with the API: bounded in time and in size, whole or an error.
 *
 * It knows nothing of CloudStack but where its errors belong. No error repeats the request, and
 * none has a cause: what the runtime throws may hold the signed URL.
 */

import http from "node:http";
import https from "node:https";
import { CloudStackError } from "../../model/errors.ts";
import { isPlainAnswer } from "../../platform/plain-answer.ts";

/** How the API's certificate is checked. */
export interface Tls {
  /** Certificates to trust instead of the system's, in PEM. */
  readonly ca?: string;
  /** Trusts whoever answers. For labs: the keys' owner can be impersonated by anybody between. */
  readonly insecure?: boolean;
}

export interface Exchange {
  readonly url: URL;
  /** Sent as a form by POST; without it, by GET. */
  readonly form?: string;
  /** What is asked, for messages. */
  readonly command: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export type Send = (exchange: Exchange, signal: AbortSignal) => Promise<HttpAnswer>;

export interface Connections extends Disposable {
  readonly send: Send;
}

/** Connections to one API that are kept open between requests. */
export function openConnections(url: URL, tls: Tls, connectionsMax: number): Connections {
  const options = { keepAlive: true, maxSockets: connectionsMax };
  const agent =
    url.protocol === "https:"
      ? new https.Agent({
          ...options,
          ...(tls.ca !== undefined && { ca: tls.ca }),
          rejectUnauthorized: tls.insecure !== true,
        })
      : new http.Agent(options);
  return {
    send: (exchange, signal) => send(exchange, agent, tls, signal),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/**
 * @throws {CloudStackError} if there is no connection, no whole answer in time, or too large a one.
 */
function send(
  exchange: Exchange,
  agent: http.Agent | https.Agent,
  tls: Tls,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { url, form, command, timeoutMs } = exchange;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      act();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      request.destroy();
    };
    const abort = (): void => fail(signal.reason);
    const timer = setTimeout(() => {
      const said = `${command}: no whole answer within ${timeoutMs} ms`;
      fail(new CloudStackError("CLOUDSTACK_TIMEOUT", said));
    }, timeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    const { request: begin } = url.protocol === "https:" ? https : http;
    const request = begin(url, {
      agent,
      method: form === undefined ? "GET" : "POST",
      headers: headersOf(form),
      // Said here too: not every runtime takes it from the agent.
      ...(tls.ca !== undefined && { ca: tls.ca }),
      ...(tls.insecure === true && { rejectUnauthorized: false }),
    });
    request.on("error", (cause) => fail(connectionError(command, cause)));
    request.on("response", (response) => {
      receive(response, exchange).then((answer) => settle(() => resolve(answer)), fail);
    });
    request.end(form);
  });
}

function headersOf(form: string | undefined): http.OutgoingHttpHeaders {
  // What is not compressed cannot unpack to more than it says.
  const headers = { accept: "application/json", "accept-encoding": "identity" };
  if (form === undefined) return headers;
  return {
    ...headers,
    "content-type": "application/x-www-form-urlencoded",
    "content-length": Buffer.byteLength(form),
  };
}

async function receive(response: http.IncomingMessage, exchange: Exchange): Promise<HttpAnswer> {
  const { command, bytesMax } = exchange;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes <= bytesMax) continue;
      const said = `${command}: the answer is larger than ${bytesMax} bytes`;
      throw new CloudStackError("CLOUDSTACK_TOO_LARGE", said);
    }
  } catch (cause) {
    if (cause instanceof CloudStackError) throw cause;
    throw new CloudStackError("CLOUDSTACK_ANSWER", `${command}: the answer is cut`);
  }
  const announced = response.headers["content-length"];
  if (!response.complete || (announced !== undefined && Number(announced) !== bytes)) {
    throw new CloudStackError("CLOUDSTACK_ANSWER", `${command}: the answer is cut`);
  }
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) headers[name] = String(value);
  const body = Buffer.concat(chunks, bytes).toString("utf8");
  return { status: response.statusCode ?? 0, headers, body };
}

/** Errors of certificates, as Node.js and Bun name them. */
const TLS_ERROR = /CERT|SSL|TLS|SIGNATURE|ISSUER|ALTNAME|UNABLE_TO_VERIFY/i;

/** What it means that there was no answer at all. */
export function connectionError(command: string, cause: NodeJS.ErrnoException): CloudStackError {
  const why = cause.code ?? cause.name;
  if (isPlainAnswer(cause)) {
    const said = `${command}: what answers speaks http, not https (${why})`;
    return new CloudStackError("CLOUDSTACK_ADDRESS", said);
  }
  if (why === "ENOTFOUND") {
    const said = `${command}: the API's host name is not known (${why})`;
    return new CloudStackError("CLOUDSTACK_ADDRESS", said);
  }
  if (TLS_ERROR.test(why)) {
    const said = `${command}: the API's certificate is not trusted (${why})`;
    return new CloudStackError("CLOUDSTACK_TLS", said);
  }
  const said = `${command}: the API cannot be reached (${why})`;
  return new CloudStackError("CLOUDSTACK_UNREACHABLE", said);
}
