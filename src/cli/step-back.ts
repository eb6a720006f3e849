/**
 * The priority of a program that nobody waits for, beside one that guests wait for.
 */

import { existsSync, readdirSync } from "node:fs";
import { setPriority } from "node:os";

/** As nice(1) counts: where both want a processor, a router beside it gets nearly all of it. */
export const NICENESS = 19;

/** Where Linux names the threads of this program. */
const THREADS = "/proc/self/task";

/** Guests wait for a router; nobody waits for this. */
export function stepBack(): void {
  lower(0);
  // Each thread has a niceness of its own; those that compile and collect run already.
  if (existsSync(THREADS)) for (const thread of readdirSync(THREADS)) lower(Number(thread));
}

/** @param thread 0 is the one that calls */
function lower(thread: number): void {
  try {
    setPriority(thread, NICENESS);
  } catch {
    // It has ended, or somebody has put it further back, which only root may undo.
  }
}
