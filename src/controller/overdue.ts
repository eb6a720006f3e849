/**
 * Whether a look at everything is overdue: each request of one is bounded, their number is not, so
 * a source that answers slowly enough would be looked at for ever, and nobody would hear of it.
 */

import { CloudStackError } from "../model/errors.ts";
import type { Troubles } from "./troubles.ts";

/** Older than this, and than three polls, the last whole look is worth a condition. ms. */
export const OVERDUE_MS_MIN = 300_000;
const OVERDUE_POLLS = 3;

/** The largest cloud that is measured takes a minute: a look of this length leads nowhere. ms. */
export const LOOK_MS_MAX = 1_800_000;

/** How often we look at the clock. ms. */
const CHECK_MS = 10_000;

export interface OverdueClock {
  /** Milliseconds since whenever; never back. */
  readonly now: () => number;
  /** @returns what ends it */
  readonly every: (ms: number, act: () => void) => () => void;
}

export interface OverduePorts {
  readonly troubles: Troubles;
  /** How long after a look at everything the next one begins. ms. */
  readonly pollMs: () => number;
  readonly clock?: OverdueClock;
}

const CLOCK: OverdueClock = {
  now: () => performance.now(),
  every: (ms, act) => {
    const timer = setInterval(act, ms);
    return () => clearInterval(timer);
  },
};

export class Overdue {
  readonly #ports: OverduePorts;
  readonly #clock: OverdueClock;
  /** When the last look that succeeded ended, or else all of this began. */
  #since: number;
  #isSaid = false;
  /** The look that is under way. */
  #look: { readonly begun: number; readonly end: AbortController } | undefined;

  constructor(ports: OverduePorts) {
    this.#ports = ports;
    this.#clock = ports.clock ?? CLOCK;
    this.#since = this.#clock.now();
  }

  /** Watches until the signal is aborted. */
  watch(signal: AbortSignal): void {
    const end = this.#clock.every(CHECK_MS, () => this.#check());
    signal.addEventListener("abort", end, { once: true });
  }

  /**
   * Lets a look at everything take `LOOK_MS_MAX`.
   *
   * @param signal ends it too
   * @throws what the look throws, or why it was ended.
   */
  async bound<T>(signal: AbortSignal, look: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const end = new AbortController();
    const forward = (): void => end.abort(signal.reason);
    if (signal.aborted) forward();
    signal.addEventListener("abort", forward, { once: true });
    this.#look = { begun: this.#clock.now(), end };
    try {
      const looked = await look(end.signal);
      this.#since = this.#clock.now();
      this.#say(undefined);
      return looked;
    } catch (error) {
      throw end.signal.aborted ? end.signal.reason : error;
    } finally {
      this.#look = undefined;
      signal.removeEventListener("abort", forward);
    }
  }

  /** Ends a look that is overdue: whoever wants another has mended something. */
  hasten(): void {
    if (this.#isSaid) this.#cut("was overdue, and another one is wanted");
  }

  #check(): void {
    const now = this.#clock.now();
    const limit = Math.max(OVERDUE_MS_MIN, OVERDUE_POLLS * this.#ports.pollMs());
    if (now - this.#since > limit) this.#say(limit);
    if (this.#look !== undefined && now - this.#look.begun > LOOK_MS_MAX) {
      this.#cut(`was not done after ${LOOK_MS_MAX / 60_000} min`);
    }
  }

  #cut(why: string): void {
    const said = `a look at everything ${why}`;
    this.#look?.end.abort(new CloudStackError("CLOUDSTACK_TIMEOUT", said));
  }

  #say(limitMs: number | undefined): void {
    if (limitMs === undefined && !this.#isSaid) return;
    this.#isSaid = limitMs !== undefined;
    const minutes = Math.floor((limitMs ?? 0) / 60_000);
    const detail = `the last one that was whole is over ${minutes} min ago`;
    this.#ports.troubles.overdue(limitMs === undefined ? undefined : detail);
  }
}
