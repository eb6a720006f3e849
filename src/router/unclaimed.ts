/**
 * Passwords for addresses of which nothing is known yet, because a password may come before the
 * instance does: kept for whoever has the address next, and for nobody after.
 *
 * Bounded in number and time, and in memory only: without an epoch there is nothing to write.
 */

import type { Ip } from "../model/address.ts";

/** An instance that starts is known by then; later another may have the address. ms. */
const UNCLAIMED_MS = 10 * 60_000;

/** More than start at once, and few enough for a small router; the oldest goes first. */
const UNCLAIMED_MAX = 1_024;

export class Unclaimed {
  readonly #now: () => number;
  readonly #held = new Map<Ip, { readonly password: string; readonly at: number }>();

  /** @param now milliseconds, by any clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  hold(address: Ip, password: string): void {
    this.#held.delete(address);
    this.#held.set(address, { password, at: this.#now() });
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= UNCLAIMED_MAX) return;
      this.#held.delete(oldest);
    }
  }

  /** Takes out what is held for an address; `undefined` if it is nothing, or too old. */
  take(address: Ip): string | undefined {
    if (this.#held.size === 0) return undefined; // Asked for every request.
    const held = this.#held.get(address);
    this.#held.delete(address);
    return held === undefined || this.#now() - held.at > UNCLAIMED_MS ? undefined : held.password;
  }
}
