/**
 * Room for guests between two slices of work.
 */

/**
 * Resolves when sockets and timers have had their turn. A write that is awaited is no turn by
 * itself: the runtime goes on with those that are done before it looks at anything else.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A request takes a turn to be accepted and one to be read, and others are behind it. ms. */
const REST_MS = 3;

/**
 * Resolves after a moment that belongs to guests alone. Between two slices of long work one turn is
 * too short: guests who ask steadily would wait for a slice each, and longer and longer.
 */
export function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS));
}
