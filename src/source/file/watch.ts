/**
 * Says when a file is not as it was last read, by looking ten times a second.
 *
 * Looking works where notification does not: on network file systems, through links, and for files
 * that are replaced together with their folder. `platform/watch.ts` follows one folder and tells
 * when it differs from the last look; here files lie anywhere, and differ from what was read.
 */

import { setTimeout } from "node:timers/promises";
import { signatureOf } from "./files.ts";

/** An edit is seen within this time. */
const LOOK_MS = 100;

/** So many files are looked at each time, the others in turn; a look costs some 20 µs. */
const LOOKS_MAX = 100;

/** A file and what `signatureOf` said when it was read; `undefined` where it has not been. */
export type AsRead = readonly [path: string, signature: string | undefined];

export interface WatchOptions {
  /** The files as they were last read. The first of them is looked at each time. */
  readonly files: () => readonly AsRead[];
  /** Whether to say so at each look, whatever the files are like. */
  readonly again: () => boolean;
}

/** Yields while a file differs from what was read. Ends when the signal is aborted. */
export async function* watch(
  { files, again }: WatchOptions,
  signal: AbortSignal,
): AsyncIterable<void> {
  let turn = 0;
  while (!signal.aborted) {
    const [first, ...others] = files();
    if (turn >= others.length) turn = 0;
    const looked = others.slice(turn, turn + LOOKS_MAX);
    turn += LOOKS_MAX;
    if (again() || (await differs(first === undefined ? looked : [first, ...looked]))) yield;
    try {
      await setTimeout(LOOK_MS, undefined, { signal });
    } catch {
      return; // Aborted.
    }
  }
}

async function differs(files: readonly AsRead[]): Promise<boolean> {
  for (const [path, signature] of files) {
    if ((await signatureOf(path)) !== signature) return true;
  }
  return false;
}
