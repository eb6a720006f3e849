/**
 * Waiting with an end: a limit that ends by itself, a sleep that a signal cuts short, and a bell.
 *
 * Node.js 18 has no `AbortSignal.any`, so a limit passes the caller's signal on itself.
 */

import { setMaxListeners } from "node:events";

export interface Limit {
  readonly signal: AbortSignal;
  /** Whether the time has run out, rather than somebody having ended it. */
  readonly expired: boolean;
  /** Aborts what still runs under it, and lets go of the caller's signal. */
  end(): void;
}

const ENDED = new Error("ended");

/** A signal that is aborted with `parent`, or after so many ms, or when it is ended. */
export function limitedTo(timeoutMs: number, parent: AbortSignal): Limit {
  const controller = new AbortController();
  // Every candidate listens to it; Node.js would take more than ten for a leak, and say so.
  setMaxListeners(0, controller.signal);
  let expired = false;
  const end = (): void => {
    clearTimeout(timer);
    parent.removeEventListener("abort", end);
    // With a reason of ours: the usual one costs a start-up as much as a request does.
    controller.abort(ENDED);
  };
  const timer = setTimeout(() => {
    expired = true;
    end();
  }, timeoutMs);
  parent.addEventListener("abort", end);
  if (parent.aborted) end();
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    end,
  };
}

/** Waits; returns early, and does not reject, when the signal is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

/** Rings for whoever waits; nobody hears what was rung before. */
export class Bell {
  #heard: (() => void)[] = [];

  ring(): void {
    for (const hear of this.#heard.splice(0)) hear();
  }

  /** Resolves when it rings, when the signal is aborted, or after so many ms. */
  wait(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(end, timeoutMs);
      this.#heard.push(end);
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
    });
  }
}
