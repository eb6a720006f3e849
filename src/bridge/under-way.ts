/**
 * How many requests are under way, for each guest and in all. A guest is its MAC address, however
 * many IPv6 addresses it has; a guest with nothing under way takes no memory.
 */

import type { Mac } from "../model/address.ts";
import { UNDER_WAY_MAX, UNDER_WAY_PER_GUEST_MAX } from "./limits.ts";

export class UnderWay {
  readonly #byGuest = new Map<Mac, number>();
  #all = 0;

  /** Guests that have something under way. */
  get guests(): number {
    return this.#byGuest.size;
  }

  /** @returns what ends it, any number of times; `undefined` if there are too many. */
  begin(mac: Mac): (() => void) | undefined {
    const own = this.#byGuest.get(mac) ?? 0;
    if (own >= UNDER_WAY_PER_GUEST_MAX || this.#all >= UNDER_WAY_MAX) return undefined;
    this.#byGuest.set(mac, own + 1);
    this.#all++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#all--;
      const left = (this.#byGuest.get(mac) ?? 1) - 1;
      if (left === 0) this.#byGuest.delete(mac);
      else this.#byGuest.set(mac, left);
    };
  }
}
