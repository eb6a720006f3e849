/**
 * Tells the store which passwords guests have, until it knows.
 *
 * One after the other, with a pause that is as long as the write: a write waits for the disk, and
 * guests wait for it meanwhile. What is not told before the program ends is told by the next run,
 * whose ledger finds it out.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Acknowledgement, Feed } from "../../model/feed.ts";
import { ACK_PAUSE_MS_MIN, ACK_RETRY_MS } from "./limits.ts";

export class Acks {
  readonly #store: () => Pick<Feed, "ack"> | undefined;
  /** One for each record at most. */
  readonly #queue = new Map<string, Acknowledgement>();
  readonly #end = new AbortController();
  #telling: Promise<void> | undefined;

  /** @param store the store while one is open */
  constructor(store: () => Pick<Feed, "ack"> | undefined) {
    this.#store = store;
  }

  add(acknowledgement: Acknowledgement): void {
    const { network, instance } = acknowledgement;
    this.#queue.set(`${network}\0${instance}`, acknowledgement);
    this.#telling ??= this.#tell();
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#telling;
  }

  async #tell(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const [key, acknowledgement] = next;
      const begun = performance.now();
      const isTold = await this.#tellOne(acknowledgement);
      if (isTold && this.#queue.get(key) === acknowledgement) this.#queue.delete(key);
      const tookMs = performance.now() - begun;
      await this.#pause(isTold ? Math.max(tookMs, ACK_PAUSE_MS_MIN) : ACK_RETRY_MS);
    }
    this.#telling = undefined; // In the same turn, so that nothing is added in between.
  }

  /** @returns whether there is nothing more to tell: the store took it, or knows no such secret */
  async #tellOne(acknowledgement: Acknowledgement): Promise<boolean> {
    const store = this.#store();
    if (store === undefined) return false;
    try {
      await store.ack(acknowledgement);
      return true;
    } catch {
      return false; // Whatever it is, following the store meets it too, and says so.
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#end.signal, ref: false }).catch(() => {});
  }
}
