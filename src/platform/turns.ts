/**
 * Rests between slices of work, so that guests are answered meanwhile.
 */

import { setImmediate } from "node:timers/promises";

/**
 * Turns of the event loop in a rest: a connection is accepted in one, its request read in the next,
 * and whoever came meanwhile is accepted in that. With one turn a guest waited for three slices.
 */
const TURNS = 3;

/** Lets others run. */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await setImmediate();
}
