/**
 * Whether the most is gone at once: then perhaps the whole was replaced, by a database that is
 * being restored, a file that was written anew, keys that lost a permission. Pure.
 */

/** Below so many, something that lost some is not told from something that was replaced. */
const GUARDED_MIN = 4;

/** @param left of so many that there were before */
export function lostMost(before: number, left: number): boolean {
  return before >= GUARDED_MIN && left < before / 2;
}
