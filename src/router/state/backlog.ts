/**
 * What could not be written and is tried again. Bounded: when it is full all of it goes. It is in
 * the owner's memory still, so the next snapshot makes it durable.
 */

import type { Entry } from "./entry.ts";
import type { Cut } from "./journal.ts";

/** An entry on its way to the disk, or the request to end a file. */
export interface Waiting {
  /** Its place in the order of all that was appended. */
  readonly number: number;
  readonly bytes: number;
  readonly entry?: Entry;
  /** Of the last entry of an append. */
  readonly done?: { resolve(): void; reject(error: unknown): void };
  readonly cut?: (cut: Cut) => void;
}

export class Backlog {
  readonly #bytesMax: number;
  #kept: Waiting[] = [];
  #bytes = 0;
  /** Entries up to this number may have gone. */
  #lostBefore = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get lost(): boolean {
    return this.#lostBefore > 0;
  }

  keep({ number, bytes, entry }: Waiting): void {
    if (entry === undefined) return;
    this.#kept.push({ number, bytes, entry });
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    // The last to come is not the last in order: a write that hung fails late.
    for (const { number } of this.#kept) this.#lostBefore = Math.max(this.#lostBefore, number + 1);
    this.#kept = [];
    this.#bytes = 0;
  }

  /** Takes all of it, to be written, in the order of appending: a write that hung fails late. */
  take(): readonly Waiting[] {
    const kept = this.#kept.sort((a, b) => a.number - b.number);
    this.#kept = [];
    this.#bytes = 0;
    return kept;
  }

  /** What has a lower number than `before` is durable by other means. */
  forget(before: number): void {
    if (this.#lostBefore <= before) this.#lostBefore = 0;
    this.#kept = this.#kept.filter(({ number }) => number >= before);
    this.#bytes = this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}
