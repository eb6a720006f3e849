/**
 * How many requests are under way at once, and for how long none may begin.
 */

export interface Gate {
  /** Does `work` when its turn has come; rejects with the signal's reason when that is aborted. */
  pass<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Lets nobody begin before then. Milliseconds, by the gate's clock. */
  closeUntil(time: number): void;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with the signal's reason when that is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export function openGate(places: number, clock: Clock): Gate {
  let free = places;
  let closedUntil = 0;
  const waiting: (() => void)[] = [];

  async function enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (free > 0) {
      free--;
      return;
    }
    const { promise, resolve, reject } = deferred();
    const abort = (): void => {
      const at = waiting.indexOf(resolve);
      // Whose turn has just come waits no longer, and gives the place back itself.
      if (at !== -1) waiting.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    waiting.push(resolve);
    await promise.finally(() => signal.removeEventListener("abort", abort));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }

  return {
    async pass(work, signal) {
      await enter(signal);
      try {
        // Whoever sleeps keeps the place: it may be closed anew meanwhile.
        for (let wait = closedUntil - clock.now(); wait > 0; wait = closedUntil - clock.now()) {
          await clock.sleep(wait, signal);
        }
        return await work();
      } finally {
        leave();
      }
    },
    closeUntil(time) {
      closedUntil = Math.max(closedUntil, time);
    },
  };
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

function deferred(): Deferred {
  let resolve: () => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
