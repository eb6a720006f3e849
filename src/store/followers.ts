/**
 * Those who follow a store: each is woken by the next change, and all end with the store.
 */

import { Latch } from "../platform/watch.ts";

export interface Following {
  /** Aborted when the follower or the store has ended. */
  readonly signal: AbortSignal;
  /** Resolves at the next change, or at once if there was one. @returns false at the end */
  changed(): Promise<boolean>;
  end(): void;
}

export class Followers {
  readonly #latches = new Set<Latch>();
  readonly #ends = new Set<AbortController>();

  /** Says that something has changed. */
  tell(): void {
    for (const latch of this.#latches) latch.set();
  }

  begin(signal: AbortSignal): Following {
    const latch = new Latch();
    const end = new AbortController();
    const abort = (): void => end.abort();
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    this.#latches.add(latch);
    this.#ends.add(end);
    return {
      signal: end.signal,
      changed: () => latch.wait(end.signal),
      end: () => {
        end.abort();
        this.#latches.delete(latch);
        this.#ends.delete(end);
        signal.removeEventListener("abort", abort);
      },
    };
  }

  close(): void {
    for (const end of this.#ends) end.abort();
  }
}
