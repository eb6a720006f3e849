/**
 * Says when one of some files may have changed, by looking at them ten times a second.
 */

import { setTimeout } from "node:timers/promises";
import { signatureOf } from "./files.ts";

/** An edit is seen within this time; a look costs a few microseconds a file. */
const LOOK_MS = 100;

export interface WatchOptions {
  /** The files to look at now; they may be others at each look. */
  readonly paths: () => readonly string[];
  /** Whether to say so at each look, whatever the files are like. */
  readonly again: () => boolean;
}

/** Yields whenever a file differs from the last look. Ends when the signal is aborted. */
export async function* watchPaths(
  { paths, again }: WatchOptions,
  signal: AbortSignal,
): AsyncIterable<void> {
  let seen = new Map<string, string>();
  let first = true;
  while (!signal.aborted) {
    const now = new Map<string, string>();
    for (const path of paths()) now.set(path, await signatureOf(path));
    const differs = [...now].some(([path, signature]) => seen.get(path) !== signature);
    seen = now;
    // The first look says so too: the file may have changed since it was read.
    if (first || differs || again()) yield;
    first = false;
    try {
      await setTimeout(LOOK_MS, undefined, { signal });
    } catch {
      return; // Aborted.
    }
  }
}
