/**
 * Follows an instance's metadata: yields it whole at first, and again whenever it differs.
 *
 * Frontdesk says with one small request that nothing has changed, and may hold that request until
 * something does. Of other services the whole tree is read each time. A service that fails, or
 * moves, is looked for again; until then what was last read stands.
 */

import { GuestError, MetadataError } from "../model/errors.ts";
import type { Client } from "./client.ts";
import { crawl } from "./crawl.ts";
import { type DiscoverOptions, type Found, find } from "./discover.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  CRAWL_INTERVAL_S,
  HELD_PAUSE_MS,
  HOLD_S,
  HOLD_TRY_S,
  INTERVAL_S,
  LISTING_BYTES_MAX,
  REQUEST_MS,
  RETRY_S_MAX,
  WHOLE_READ_S,
} from "./limits.ts";
import { LISTING_TARGET } from "./path.ts";
import { explain } from "./report.ts";
import type { Snapshot } from "./tree.ts";
import { sleep } from "./waiting.ts";

export interface FollowOptions extends DiscoverOptions {
  readonly withUserData: boolean;
  /** Between two polls; without it, what suits the service. */
  readonly intervalMs?: number | undefined;
  /** 0 to 1, evenly; tests pass their own. */
  readonly random?: () => number;
}

export type Observation =
  /** What is true now; the first one, and each that differs from the one before. */
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot; readonly endpoint: Endpoint }
  /** It could not be asked, or read; it is tried again. */
  | { readonly kind: "failed"; readonly error: MetadataError };

/** Ends when the signal is aborted. */
export async function* follow(
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<Observation> {
  const follower = new Follower(options, signal);
  try {
    while (!signal.aborted) {
      let seen: Observation | undefined;
      try {
        seen = await follower.look();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof MetadataError)) throw error;
        // One that changes faster than it can be read is there, and is no reason to slow down.
        if (error.code !== "METADATA_UNSETTLED") follower.failed();
        seen = { kind: "failed", error };
      }
      if (seen !== undefined) yield seen;
      await sleep(follower.pauseMs(), signal);
    }
  } finally {
    follower.close();
  }
}

class Follower {
  readonly #options: FollowOptions;
  readonly #signal: AbortSignal;
  #found: { readonly client: Client; readonly endpoint: Endpoint } | undefined;
  #last: Snapshot | undefined;
  /** Where that came from: a service that has moved is a difference too. */
  #url: string | undefined;
  #readMs = 0;
  #failures = 0;
  /** Whether the service has held a poll; then the next one follows at once. */
  #holds = false;

  constructor(options: FollowOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** What differs from the last look; `undefined` when nothing does. */
  async look(): Promise<Observation | undefined> {
    this.#found ??= await this.#find();
    const { client, endpoint } = this.#found;
    if (await this.#isUnchanged(client)) return undefined;
    const snapshot = await crawl(client, this.#options, this.#signal);
    this.#failures = 0;
    this.#readMs = Date.now();
    const same = isSame(this.#last, snapshot) && this.#url === endpoint.url;
    this.#last = snapshot;
    this.#url = endpoint.url;
    return same ? undefined : { kind: "snapshot", snapshot, endpoint };
  }

  /** After a failure nothing is taken for granted: the service may have moved. */
  failed(): void {
    this.#failures++;
    this.close();
  }

  close(): void {
    this.#found?.client.close();
    this.#found = undefined;
    this.#holds = false;
  }

  /** Until the next look. */
  pauseMs(): number {
    const { intervalMs, random = Math.random } = this.#options;
    const usual = this.#last?.whole === false ? CRAWL_INTERVAL_S : INTERVAL_S;
    const baseMs = intervalMs ?? usual * 1000;
    return pauseMs({ baseMs, failures: this.#failures, holds: this.#holds, random: random() });
  }

  async #find(): Promise<{ client: Client; endpoint: Endpoint }> {
    const found: Found = await find(this.#options, this.#signal);
    const { chosen } = found.discovery;
    if (found.client !== undefined && chosen !== undefined) {
      return { client: found.client, endpoint: chosen };
    }
    throw new GuestError("ENDPOINT_NONE", explain(found.discovery));
  }

  /** Asks whether anything has changed since the last look; only some services can tell. */
  async #isUnchanged(client: Client): Promise<boolean> {
    const etag = this.#last?.etag;
    if (this.#last?.whole !== true || etag === undefined || this.#failures > 0) return false;
    if (Date.now() - this.#readMs > WHOLE_READ_S * 1000) return false;
    const holdS = this.#holds ? HOLD_S : HOLD_TRY_S;
    const query = new URLSearchParams({
      wait_for_change: "true",
      last_etag: etag,
      timeout_sec: String(holdS),
    });
    const asked = await client.get(
      `${LISTING_TARGET}?${query}`,
      {
        bytesMax: LISTING_BYTES_MAX,
        ifNoneMatch: etag,
        timeoutMs: holdS * 1000 + REQUEST_MS,
      },
      this.#signal,
    );
    if (asked.kind !== "reply") {
      throw new GuestError("ENDPOINT_FAILED", `the service does not answer (${asked.code})`);
    }
    this.#holds = asked.ms >= (holdS * 1000) / 2 || (this.#holds && asked.status === 200);
    return asked.status === 304;
  }
}

export interface Pause {
  readonly baseMs: number;
  /** In a row. */
  readonly failures: number;
  /** Whether the service holds polls: then the wait is there. */
  readonly holds: boolean;
  /** 0 to 1, evenly. */
  readonly random: number;
}

/**
 * A quarter more or less than what is meant, so that a thousand guests that were started together
 * do not ask together; twice as long after each failure, up to a limit.
 */
export function pauseMs({ baseMs, failures, holds, random }: Pause): number {
  if (holds) return HELD_PAUSE_MS;
  const slower = failures === 0 ? 1 : 2 ** Math.min(failures - 1, 10);
  const longestMs = Math.max(baseMs, RETRY_S_MAX * 1000);
  return Math.min(baseMs * slower, longestMs) * (0.75 + random / 2);
}

/** Another validator of the same content, as after a file was written anew, is no change. */
function isSame(before: Snapshot | undefined, after: Snapshot): boolean {
  if (before === undefined) return false;
  const whole = before.whole && after.whole;
  const whatCounts = ({ metaData, userData, etag }: Snapshot): string =>
    JSON.stringify([metaData, userData, whole ? etag : undefined]);
  return whatCounts(before) === whatCounts(after);
}
