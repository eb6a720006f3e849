/**
 * Watches the router's own latency: how late a timer runs is how long a guest may have waited.
 */

import type { Conditions } from "../observe/conditions.ts";

const INTERVAL_MS = 100;
/** Clients' shortest time-out is 1 s (AWS SDKs); a fifth of that is slow. ms. */
const SLOW_MS = 200;
/** The condition goes when nothing was slow for so long. ms. */
const CALM_MS = 10_000;

export class LoopDelay {
  readonly #timer: NodeJS.Timeout;
  #expected: number;
  #worstMs = 0;
  #worstBeforeMs = 0;
  #ticks = 0;
  #slowAt = Number.NEGATIVE_INFINITY;

  constructor(conditions: Conditions) {
    this.#expected = performance.now() + INTERVAL_MS;
    this.#timer = setInterval(() => this.#tick(conditions), INTERVAL_MS);
    this.#timer.unref();
  }

  /** The longest delay within the last one or two seconds. ms. */
  get worstMs(): number {
    return Math.max(this.#worstMs, this.#worstBeforeMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(conditions: Conditions): void {
    const now = performance.now();
    const late = Math.max(0, now - this.#expected);
    this.#expected = now + INTERVAL_MS;
    this.#worstMs = Math.max(this.#worstMs, late);
    if (++this.#ticks % 10 === 0) {
      this.#worstBeforeMs = this.#worstMs;
      this.#worstMs = 0;
    }
    if (late > SLOW_MS) {
      this.#slowAt = now;
      conditions.raise("ROUTER_SLOW", "event loop", `${Math.round(late)} ms late`);
    } else if (now - this.#slowAt > CALM_MS) conditions.clear("ROUTER_SLOW", "event loop");
  }
}
