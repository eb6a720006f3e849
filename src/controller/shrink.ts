/**
 * Whether to believe that instances are gone.
 *
 * A few may go at any time. Where most go at once it may be the keys that lost a permission, or a
 * database that is being restored; so it is believed when a second look, a while later, does not
 * find them either. The rule for "most" is the one that databags have.
 */

import { lostMost } from "../source/replaced.ts";

/** So long after the first look the second one counts. ms. */
export const CONFIRM_MS = 10_000;

export interface Believed {
  readonly gone: readonly string[];
  /** Those that a second look must not find either. */
  readonly doubted: number;
}

export class Shrink {
  readonly #now: () => number;
  /** When each that is doubted was missed first. Milliseconds, by the clock that was given. */
  #missedSince: ReadonlyMap<string, number> = new Map();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param known how many there were, those that vanished among them */
  believe(vanished: readonly string[], known: number): Believed {
    const left = known - vanished.length;
    const isReplaced = vanished.length > 0 && (left === 0 || lostMost(known, left));
    if (!isReplaced) {
      this.#missedSince = new Map();
      return { gone: vanished, doubted: 0 };
    }
    const now = this.#now();
    const since = (id: string): number => this.#missedSince.get(id) ?? now;
    const gone = vanished.filter((id) => now - since(id) >= CONFIRM_MS);
    const doubted = vanished.filter((id) => now - since(id) < CONFIRM_MS);
    this.#missedSince = new Map(doubted.map((id) => [id, since(id)]));
    return { gone, doubted: doubted.length };
  }
}
