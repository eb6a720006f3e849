/**
 * Says when files in a folder may have changed: at once by the kernel's events, and at the latest
 * after a second by their stamps, because events are lost when the folder itself is replaced.
 *
 * It may say so too often, never too seldom. A file or folder that is not there is waited for.
 */

import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";

/** How often stamps are looked at. ms. */
const LOOK_MS = 1000;

/** A writer's many small writes are one piece of news. ms. */
const GATHER_MS = 3;

/** While somebody writes all the time, news comes no closer than this. ms. */
const APART_MS = 15;

/** Something that may have happened; any number of times is once, until it is waited for. */
export class Latch {
  #set = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#set = true;
    this.#wake?.();
  }

  /** Resolves when it is set, or the signal is aborted. @returns whether it was set. */
  async wait(signal: AbortSignal): Promise<boolean> {
    if (!this.#set) {
      await untilAborted(signal, (resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (signal.aborted) return false;
    this.#set = false;
    return true;
  }
}

/** Yields at once, and whenever one of `names` in `dir` or the folder itself may have changed. */
export async function* watchFiles(
  dir: string,
  names: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<void> {
  const latch = new Latch();
  const watched = new Watched(dir, names, () => latch.set());
  await watched.look();
  latch.set(); // Something may have changed since whoever asks has looked last.
  const timer = setInterval(async () => {
    if (await watched.look()) latch.set();
  }, LOOK_MS);
  let saidMs = -APART_MS;
  try {
    while (await latch.wait(signal)) {
      const waitMs = Math.max(GATHER_MS, saidMs + APART_MS - performance.now());
      await untilAborted(signal, (resolve) => setTimeout(resolve, waitMs));
      saidMs = performance.now();
      // So that the next look by the clock does not find the same once more.
      await watched.look();
      if (!signal.aborted) yield;
    }
  } finally {
    clearInterval(timer);
    watched.close();
  }
}

/** A folder and files in it: what their stamps were, and the kernel's events. */
class Watched {
  readonly #dir: string;
  readonly #paths: readonly string[];
  readonly #onEvent: () => void;
  #stamps: readonly string[] | undefined;
  #events: Events | undefined;
  #closed = false;

  constructor(dir: string, names: readonly string[], onEvent: () => void) {
    this.#dir = dir;
    this.#paths = [dir, ...names.map((name) => join(dir, name))];
    this.#onEvent = onEvent;
  }

  /** @returns whether anything differs from the last look. */
  async look(): Promise<boolean> {
    const before = this.#stamps;
    const stamps = await Promise.all(this.#paths.map(stampOf));
    if (this.#closed) return false;
    this.#stamps = stamps;
    // The stamps are older than the events: a folder that is replaced in between is seen next time.
    if (identity(stamps[0]) !== identity(before?.[0]) || this.#events?.ended !== false) {
      this.#events?.close();
      this.#events = events(this.#dir, this.#onEvent);
    }
    return stamps.some((stamp, i) => stamp !== before?.[i]);
  }

  close(): void {
    this.#closed = true;
    this.#events?.close();
  }
}

interface Events {
  /** Whether there are none any more. */
  readonly ended: boolean;
  close(): void;
}

function events(dir: string, onEvent: () => void): Events {
  let ended = false;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dir, onEvent);
    watcher.on("error", () => {
      ended = true;
    });
  } catch {
    ended = true; // There is no such folder; the stamps will tell when there is.
  }
  return {
    get ended() {
      return ended;
    },
    close: () => watcher?.close(),
  };
}

/** What changes when a file does. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

/** Which folder it is, apart from what is in it. */
function identity(stamp: string | undefined): string | undefined {
  return stamp?.split(" ", 1)[0];
}

/** Waits for a call of `resolve`, or for the signal. Leaves no listener behind. */
async function untilAborted(
  signal: AbortSignal,
  start: (resolve: () => void) => void,
): Promise<void> {
  if (signal.aborted) return;
  let end = (): void => {};
  try {
    await new Promise<void>((resolve) => {
      end = resolve;
      signal.addEventListener("abort", end);
      start(resolve);
    });
  } finally {
    signal.removeEventListener("abort", end);
  }
}
