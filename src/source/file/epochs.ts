/**
 * Which epoch an address is in: a number that rises whenever the address passes to another
 * instance, so that what was meant for the former one never reaches the next.
 */

import { EPOCHS_REMEMBERED_MAX } from "./limits.ts";

interface Last {
  readonly epoch: number;
  /**
   * `undefined` where it is over, or an earlier run did not say: then whoever comes next begins
   * another, be it the same instance.
   */
  readonly instance: string | undefined;
}

export class Epochs {
  readonly #last = new Map<string, Last>();
  /** No epoch of an address that is forgotten was above this. */
  #floor = 0;

  /** The epoch of `instance` at `key`, `min` at least. Changes nothing. */
  next(key: string, instance: string, min: number): number {
    const last = this.#last.get(key) ?? { epoch: this.#floor, instance: undefined };
    return Math.max(min, last.instance === instance ? last.epoch : last.epoch + 1);
  }

  /** Remembers what holds now, or held last. */
  set(key: string, epoch: number, instance: string | undefined): void {
    // Newest last, so that what is forgotten first has been gone for longest.
    this.#last.delete(key);
    this.#last.set(key, { epoch, instance });
  }

  /** The address is gone: its epoch is over. */
  end(key: string): void {
    const last = this.#last.get(key);
    if (last !== undefined) this.set(key, last.epoch, undefined);
  }

  /** An epoch that something was kept for: where no later one is known to hold, it is over. */
  reached(key: string, epoch: number): void {
    const last = this.#last.get(key);
    if (last === undefined || last.epoch < epoch) this.set(key, epoch, undefined);
  }

  /** Forgets the oldest of the addresses that are not `live`, beyond a limit. */
  forget(live: { has(key: string): boolean; readonly size: number }): void {
    let excess = this.#last.size - live.size - EPOCHS_REMEMBERED_MAX;
    for (const [key, { epoch }] of this.#last) {
      if (excess <= 0) return;
      if (live.has(key)) continue;
      this.#last.delete(key);
      this.#floor = Math.max(this.#floor, epoch);
      excess--;
    }
  }
}
