/**
 * Work in slices of a few milliseconds, so that guests are answered meanwhile.
 */

import { rest } from "../platform/turns.ts";

/** A guest's request may wait for one slice; the goal for the longest wait is 20 ms. */
const SLICE_MS = 3;

export class Slices {
  readonly #signal: AbortSignal;
  #since = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the slice is used up. Ask in every loop whose length the input decides. */
  due(): boolean {
    return performance.now() - this.#since > SLICE_MS;
  }

  /** Lets others run. Rejects with the signal's reason when that is aborted. */
  async rest(): Promise<void> {
    await rest();
    this.#signal.throwIfAborted();
    this.#since = performance.now();
  }
}
