/**
 * Whether an address has had one MAC address all the time: a guest may say that its address is at
 * another's MAC address, ask, and take it back before the answer has gone.
 *
 * What the table forgets, this remembers. Bounded: where something had to be forgotten, or news
 * were lost, addresses that nothing is remembered of are not trusted for a while.
 */

import type { Ip, Mac } from "../model/address.ts";

/**
 * - `steady`: one MAC address, for long enough that an earlier one would be known;
 * - `fresh`: not for so long;
 * - `changed`: there was another, or there may have been.
 */
export type Trust = "steady" | "fresh" | "changed";

/** News of the kernel may take so long to come. ms. */
export const SETTLE_MS = 50;
/** A change is remembered so long: longer than any connection that was made before it. ms. */
const MEMORY_MS = 600_000;
/** Some 10 MiB. Only guests who flood come near. */
const ADDRESSES_MAX = 65_536;

interface Past {
  mac: Mac;
  sinceMs: number;
  changedMs: number;
  /** When the kernel had it last; it is read once a minute at least. */
  seenMs: number;
}

export class NeighbourHistory {
  readonly #past = new Map<string, Past>();
  readonly #addressesMax: number;
  #doubtfulUntilMs = 0;

  constructor(addressesMax: number = ADDRESSES_MAX) {
    this.#addressesMax = addressesMax;
  }

  /** The kernel says that an address has this MAC address. Times are milliseconds by any clock. */
  note(address: Ip, device: string, mac: Mac, nowMs: number): void {
    const name = `${address} ${device}`;
    const past = this.#past.get(name);
    if (past === undefined) {
      const [oldest] = this.#past;
      if (this.#past.size >= this.#addressesMax && oldest !== undefined) {
        this.#past.delete(oldest[0]);
        // One that has long been gone is no news that was lost.
        if (nowMs - oldest[1].seenMs < MEMORY_MS) this.missed(nowMs);
      }
      const changedMs = Number.NEGATIVE_INFINITY;
      this.#past.set(name, { mac, sinceMs: nowMs, changedMs, seenMs: nowMs });
      return;
    }
    if (past.mac !== mac) Object.assign(past, { mac, sinceMs: nowMs, changedMs: nowMs });
    past.seenMs = nowMs;
    // The one that was seen longest ago is the first to be forgotten.
    this.#past.delete(name);
    this.#past.set(name, past);
  }

  /** News were lost: of whom nothing is remembered may have been another. */
  missed(nowMs: number): void {
    this.#doubtfulUntilMs = nowMs + MEMORY_MS;
  }

  trust(address: Ip, device: string, nowMs: number): Trust {
    const past = this.#past.get(`${address} ${device}`);
    if (past === undefined) return nowMs < this.#doubtfulUntilMs ? "changed" : "fresh";
    if (nowMs - past.changedMs < MEMORY_MS) return "changed";
    // One that began while news were lost may have been another just before.
    if (past.sinceMs < this.#doubtfulUntilMs && past.sinceMs >= this.#doubtfulUntilMs - MEMORY_MS) {
      return nowMs < this.#doubtfulUntilMs ? "changed" : "steady";
    }
    return nowMs - past.sinceMs < SETTLE_MS ? "fresh" : "steady";
  }
}
