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
