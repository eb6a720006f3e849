/**
 * Asks a controller's operator API, for the commands: the same errors everywhere, each with its
 * cause and its remedy.
 */

import { readFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { pipeline, Readable } from "node:stream";
import { credentialsOf, readCredentials } from "../controller/credentials.ts";
import { AccessError, AdminError, ConfigError, quote, UsageError } from "../model/errors.ts";
import { isPlainAnswer } from "../platform/plain-answer.ts";
import { adviceFor } from "./api-advice.ts";
import type { OptionSpec, Options } from "./command.ts";
import { API_LISTEN } from "./daemon-options.ts";
import { defaultStateDir, shownStateDir } from "./state-dir.ts";

/** A controller answers at once; one that does not within this is stuck. ms. */
const TIMEOUT_MS = 30_000;

/** An answer: a page of a thousand instances, or the longest user data. Bytes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Pieces of a body that is sent. Bytes. */
const PIECE_BYTES = 256 * 1024;

export const DEFAULT_API: string = `http://${API_LISTEN}`;

// biome-ignore format: a table reads best with one line for each option
export const API_OPTIONS: readonly OptionSpec[] = [
  { flags: "--api <url>", summary: "the controller's API", usual: DEFAULT_API, env: "FRONTDESK_API_URL" },
  { flags: "--api-ca-file <file>", summary: "certificate that the API's is checked by, PEM", env: "FRONTDESK_API_CA_FILE" },
  { flags: "--state-dir <dir>", summary: "the controller's state directory: its admin.env has the token, unless FRONTDESK_TOKEN has", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
];

/** What a request sends, beside its path. */
export interface Sent {
  readonly type: string;
  readonly body: Uint8Array | string;
  /** Told how much of a long body is on its way. Bytes. */
  readonly onSent?: (bytes: number) => void;
}

export interface ApiClient {
  get(path: string): Promise<unknown>;
  getBytes(path: string): Promise<Buffer>;
  post(path: string, sent: Sent): Promise<unknown>;
  put(path: string, sent: Sent): Promise<void>;
  remove(path: string): Promise<void>;
  /** Server-sent events, until the other side or the signal ends it. */
  follow(path: string, signal: AbortSignal): AsyncGenerator<ApiEvent>;
}

export interface ApiEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What an answer with an error says. */
interface Refusal {
  readonly error?: Readonly<Partial<Record<"code" | "message" | "advice", unknown>>>;
}

/**
 * @throws {UsageError} if the URL is none.
 * @throws {AdminError | ConfigError} if there is no token that can be used.
 */
export async function openApiClient(options: Options): Promise<ApiClient> {
  const url = urlOf(options.string("api") ?? DEFAULT_API);
  const stateDir = options.string("state-dir") ?? defaultStateDir(process.env);
  const token = await tokenFor(stateDir);
  const ca = caOf(options.string("api-ca-file"));
  const ask = (method: string, path: string, sent?: Sent, signal?: AbortSignal) =>
    exchange({ url, token, ca, method, path, sent, signal });
  return {
    get: async (path) => parsed(await bodyOf(await ask("GET", path), url), url),
    getBytes: async (path) => bodyOf(await ask("GET", path), url),
    post: async (path, sent) => parsed(await bodyOf(await ask("POST", path, sent), url), url),
    put: async (path, sent) => void (await bodyOf(await ask("PUT", path, sent), url)),
    remove: async (path) => void (await bodyOf(await ask("DELETE", path), url)),
    follow: async function* (path, signal) {
      const answer = await ask("GET", path, undefined, signal);
      if (answer.statusCode !== 200) await bodyOf(answer, url);
      yield* eventsOf(answer, signal);
    },
  };
}

/** Without user, path, query and fragment: none of them is the controller's address. */
function urlOf(text: string): URL {
  try {
    const url = new URL(text);
    const isOurs = url.protocol === "http:" || url.protocol === "https:";
    if (isOurs && url.pathname !== "/") {
      throw new UsageError(`--api takes no path: write ${url.origin}`);
    }
    if (isOurs && url.username === "" && url.search === "" && url.hash === "") return url;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // Said below.
  }
  throw new UsageError(`--api ${quote(text)}: write a URL, as ${DEFAULT_API}`);
}

async function tokenFor(stateDir: string): Promise<string> {
  const { FRONTDESK_TOKEN } = process.env;
  // The keys beside it are for others; they may be half there.
  const { token } = credentialsOf(FRONTDESK_TOKEN === undefined ? {} : { FRONTDESK_TOKEN });
  if (token !== undefined) return token;
  const credentials = await readCredentials(stateDir);
  if (credentials?.token !== undefined) return credentials.token;
  throw new AdminError(
    `there is no token: set FRONTDESK_TOKEN, or name the --state-dir of a controller on this ` +
      `machine (${quote(stateDir)} has none)`,
  );
}

function caOf(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ConfigError("--api-ca-file cannot be read", { file: path }, { cause });
  }
}

interface Exchange {
  readonly url: URL;
  readonly token: string;
  readonly ca: Buffer | undefined;
  readonly method: string;
  readonly path: string;
  readonly sent: Sent | undefined;
  readonly signal: AbortSignal | undefined;
}

function exchange(asked: Exchange): Promise<IncomingMessage> {
  const { url, token, ca, method, path, sent, signal } = asked;
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(unreachable(url, error));
    const asking: ClientRequest = send(
      {
        ...{ method, path, port: url.port, timeout: TIMEOUT_MS },
        host: url.hostname.replace(/^\[|\]$/g, ""),
        headers: {
          authorization: `Bearer ${token}`,
          ...(sent && {
            "content-type": sent.type,
            "content-length": Buffer.byteLength(sent.body),
          }),
        },
        ...(ca !== undefined && { ca }),
        ...(signal !== undefined && { signal }),
      },
      (answer) => {
        // Refused before all of it was sent: the rest is not waited for.
        answer.once("close", () => asking.writableFinished || asking.destroy());
        resolve(answer);
      },
    );
    asking.on("error", fail);
    asking.on("timeout", () => asking.destroy(new Error("it does not answer")));
    if (sent === undefined) asking.end();
    else pipeline(Readable.from(pieces(sent)), asking, () => {}); // Its errors are the request's.
  });
}

/** In pieces, so that it can be told how many have gone. */
function* pieces({ body, onSent }: Sent): Generator<Uint8Array> {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    onSent?.(at);
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
  onSent?.(bytes.length);
}

/**
 * The whole body of an answer that says yes.
 *
 * @throws {AdminError} of one that says no.
 * @throws {AccessError} of one that says no to who asks: asking again does not help.
 */
async function bodyOf(answer: IncomingMessage, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > ANSWER_BYTES_MAX) throw new Error("the answer is too long");
      chunks.push(chunk);
    }
  } catch (error) {
    throw unreachable(url, error as Error);
  }
  const body = Buffer.concat(chunks);
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return body;
  const { error } = parsed(body, url) as Refusal;
  if (typeof error?.message !== "string") throw notOurs(url);
  const advice = adviceFor(error.code, error.advice);
  const message = `${error.message}${advice && `; ${advice}`}`;
  throw status === 401 || status === 403 ? new AccessError(message) : new AdminError(message);
}

function parsed(body: Buffer, url: URL): unknown {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below.
  }
  throw notOurs(url);
}

function notOurs({ origin }: URL): AdminError {
  return new AdminError(`what answers at ${origin} is not a Frontdesk controller; correct --api`);
}

async function* eventsOf(answer: IncomingMessage, signal: AbortSignal): AsyncGenerator<ApiEvent> {
  let text = "";
  answer.setEncoding("utf8");
  try {
    for await (const chunk of answer as AsyncIterable<string>) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop() ?? "";
      if (text.length > ANSWER_BYTES_MAX) throw new AdminError("an event is too long");
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) };
      }
    }
  } catch (error) {
    // The stream was cut: whoever follows connects again.
    if (!signal.aborted && error instanceof AdminError) throw error;
  }
}

function unreachable({ origin, protocol }: URL, error: NodeJS.ErrnoException): AdminError {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: "nothing listens there: is the controller running, with --api-listen?",
    ENOTFOUND: "there is no such host: correct --api",
    DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted: name it with --api-ca-file",
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not trusted: use --api-ca-file",
    ECONNRESET: `it hangs up: does it speak ${protocol === "http:" ? "https" : "http"}?`,
  };
  const isPlain = isPlainAnswer(error);
  const reason = isPlain ? "it speaks http, not https" : reasons[error.code ?? ""];
  return new AdminError(`cannot ask the controller at ${origin}: ${reason ?? error.message}`, {
    cause: error,
  });
}
