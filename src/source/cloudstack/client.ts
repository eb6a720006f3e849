/**
 * A client of CloudStack's API: signed requests, a few at a time, reads repeated where that may
 * help, and every failure a `CloudStackError` that says what to do.
 *
 * It only reads. It writes no log; its errors hold no key, no user data and no password.
 */

import { setMaxListeners } from "node:events";
import { setTimeout as timeout } from "node:timers/promises";
import { CloudStackError } from "../../model/errors.ts";
import { contentOf, type Fields } from "./answer.ts";
import { type Clock, type Gate, openGate } from "./gate.ts";
import { type Connections, openConnections, type Tls } from "./http.ts";
import {
  ANSWER_BYTES_MAX,
  ATTEMPTS_MAX,
  CALL_MS_MAX,
  EXPIRES_FAR_MS,
  EXPIRES_MS,
  QUERY_CHARS_MAX,
  REQUEST_MS_MAX,
  REQUESTS_AT_ONCE,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  SKEW_AHEAD_MS_MIN,
  SKEW_BEHIND_MS_MIN,
} from "./limits.ts";
import { type Credentials, type Params, signedQuery } from "./sign.ts";

export interface ClientOptions {
  readonly endpoint: URL;
  readonly credentials: Credentials;
  readonly tls?: Tls;
  readonly clock?: Clock;
  readonly requestMsMax?: number;
  readonly answerBytesMax?: number;
  /** Told how long each answer was. Characters. */
  readonly onAnswer?: (length: number) => void;
}

/** What reads need of a client. */
export interface Api {
  /** Asks what changes nothing. @throws {CloudStackError} */
  read(command: string, params: Params, signal: AbortSignal): Promise<Fields>;
}

/** A command that anybody may use and that costs little: to try whether the keys are good. */
const HARMLESS = "listCapabilities";

const CLOCK: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => timeout(ms, undefined, { signal }),
};

export class CloudStackClient implements Api, Disposable {
  /** Names the keys' user to the API. */
  readonly apiKey: string;
  // Private, so that whoever prints a client prints no key.
  readonly #credentials: Credentials;
  readonly #endpoint: URL;
  readonly #clock: Clock;
  readonly #connections: Connections;
  readonly #gate: Gate;
  readonly #requestMsMax: number;
  readonly #answerBytesMax: number;
  readonly #onAnswer: (length: number) => void;

  constructor(options: ClientOptions) {
    this.apiKey = options.credentials.apiKey;
    this.#credentials = options.credentials;
    this.#endpoint = options.endpoint;
    this.#clock = options.clock ?? CLOCK;
    this.#connections = openConnections(options.endpoint, options.tls ?? {}, REQUESTS_AT_ONCE);
    this.#gate = openGate(REQUESTS_AT_ONCE, this.#clock);
    this.#requestMsMax = options.requestMsMax ?? REQUEST_MS_MAX;
    this.#onAnswer = options.onAnswer ?? (() => {});
    this.#answerBytesMax = options.answerBytesMax ?? ANSWER_BYTES_MAX;
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }

  async read(command: string, params: Params, signal: AbortSignal): Promise<Fields> {
    const asked = { command, params };
    const until = this.#clock.now() + CALL_MS_MAX;
    // Many that wait for one signal are no leak: each takes its listener away.
    setMaxListeners(0, signal);
    for (let attempt = 1; ; ) {
      try {
        return await this.#gate.pass(() => this.#ask(asked, EXPIRES_MS, signal), signal);
      } catch (error) {
        if (!(error instanceof CloudStackError)) throw error;
        if (error.code === "CLOUDSTACK_KEYS") throw await this.#explain(error, signal);
        const now = this.#clock.now();
        if (error.remedy !== "retry" || now >= until) throw error;
        if (error.code === "CLOUDSTACK_BUSY") {
          this.#gate.closeUntil(now + (error.waitMs ?? RETRY_MS_MIN));
          continue;
        }
        if (attempt >= ATTEMPTS_MAX) throw error;
        const wait = Math.min(RETRY_MS_MIN * 2 ** (attempt - 1), RETRY_MS_MAX);
        // Spread, so that several that failed together do not come together again.
        await this.#clock.sleep(wait * (0.5 + Math.random() / 2), signal);
        attempt++;
      }
    }
  }

  async #ask(asked: Asked, goodForMs: number, signal: AbortSignal): Promise<Fields> {
    const { command, params } = asked;
    const expires = this.#clock.now() + goodForMs;
    const query = signedQuery(command, params, this.#credentials, expires);
    const asForm = query.length > QUERY_CHARS_MAX;
    const url = new URL(this.#endpoint);
    if (!asForm) url.search = query;
    const answer = await this.#connections.send(
      {
        url,
        command,
        timeoutMs: this.#requestMsMax,
        bytesMax: this.#answerBytesMax,
        ...(asForm && { form: query }),
      },
      signal,
    );
    this.#onAnswer(answer.body.length);
    const now = this.#clock.now();
    const date = Date.parse(answer.headers.date ?? "");
    try {
      return contentOf(command, answer, this.#credentials, now);
    } catch (error) {
      if (!(error instanceof CloudStackError) || error.code !== "CLOUDSTACK_KEYS") throw error;
      const ahead = date - now;
      const explains = ahead >= SKEW_AHEAD_MS_MIN || -ahead >= SKEW_BEHIND_MS_MIN;
      const by = `${Math.round(Math.abs(ahead) / 1000)} s`;
      throw explains ? clockError(command, by, ahead > 0) : error;
    }
  }

  /**
   * The API refuses wrong keys and an expired signature with the same words. If it takes one that
   * expires later, the clock is the reason.
   */
  async #explain(error: CloudStackError, signal: AbortSignal): Promise<CloudStackError> {
    const asked = { command: HARMLESS, params: {} };
    try {
      await this.#gate.pass(() => this.#ask(asked, EXPIRES_FAR_MS, signal), signal);
    } catch (other) {
      if (signal.aborted) throw other;
      return error;
    }
    // It may have been refused for a reason of its own.
    try {
      await this.#gate.pass(() => this.#ask(asked, EXPIRES_MS, signal), signal);
    } catch (other) {
      if (signal.aborted) throw other;
      const least = `over ${EXPIRES_MS / 60_000} min`;
      return clockError(error.message.split(":")[0] ?? HARMLESS, least, true);
    }
    return error;
  }
}

interface Asked {
  readonly command: string;
  readonly params: Params;
}

function clockError(command: string, by: string, ahead: boolean): CloudStackError {
  const side = ahead ? "ahead of" : "behind";
  const said = `${command}: refused, because the API's clock is ${by} ${side} this machine's`;
  return new CloudStackError("CLOUDSTACK_CLOCK", `${said}; set the clocks by NTP`);
}
