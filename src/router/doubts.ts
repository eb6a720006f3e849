/**
 * Addresses that were seen with another MAC address than their lease's: for how long that is not
 * looked at again, and the condition that names it.
 */

import type { Ip, Mac } from "../model/address.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Bound } from "./directory.ts";

/** So long a doubtful address is not read again: a guest may ask a thousand times a second. ms. */
const DOUBT_MS = 1000;

/** Doubtful addresses that are remembered. More are read again each time, all together. */
const DOUBTS_MAX = 4096;

/** A mismatch is over when there was none for so long. ms. */
const QUIET_MS = 60_000;

export interface Doubt {
  readonly until: number;
  /** The MAC address that the kernel has, if it is another. */
  readonly seen: Mac | undefined;
  /** Of the condition that was raised. */
  readonly subject?: string;
}

export class Doubts {
  readonly #conditions: Conditions;
  readonly #quietMs: number;
  readonly #doubts = new Map<Ip, Doubt>();
  /** Conditions that end soon, by their subject; as many as there are doubts at most. */
  readonly #calming = new Map<string, NodeJS.Timeout>();

  constructor(conditions: Conditions, quietMs: number = QUIET_MS) {
    this.#conditions = conditions;
    this.#quietMs = quietMs;
  }

  of(address: Ip): Doubt | undefined {
    return this.#doubts.get(address);
  }

  entries(): Iterable<readonly [Ip, Doubt]> {
    return this.#doubts;
  }

  add(address: Ip, seen: Mac | undefined, subject?: string): void {
    const oldest = this.#doubts.keys().next().value;
    if (this.#doubts.size >= DOUBTS_MAX && oldest !== undefined) this.trust(oldest);
    this.#doubts.delete(address);
    const until = performance.now() + DOUBT_MS;
    this.#doubts.set(address, { until, seen, ...(subject !== undefined && { subject }) });
  }

  /** As `add`, and says so. */
  mistrust({ address, network }: Bound, seen: Mac | undefined, leased: Mac | undefined): void {
    const subject = `${address} in ${network}`;
    this.add(address, seen, subject);
    clearTimeout(this.#calming.get(subject));
    this.#calming.delete(subject);
    this.#conditions.raise("MAC_MISMATCH", subject, `seen with ${seen}, leased to ${leased}`);
  }

  trust(address: Ip): void {
    const doubt = this.#doubts.get(address);
    if (doubt === undefined) return;
    this.#doubts.delete(address);
    if (doubt.subject !== undefined) this.#calm(doubt.subject);
  }

  close(): void {
    for (const timer of this.#calming.values()) clearTimeout(timer);
  }

  /** A guest that goes to and fro is one condition, and not a line in the log each time. */
  #calm(subject: string): void {
    clearTimeout(this.#calming.get(subject));
    const timer = setTimeout(() => {
      this.#calming.delete(subject);
      this.#conditions.clear("MAC_MISMATCH", subject);
    }, this.#quietMs);
    timer.unref();
    this.#calming.set(subject, timer);
  }
}
