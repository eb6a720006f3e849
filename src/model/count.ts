/**
 * A number and what it counts, for people: `1 instance`, `2 instances`.
 */

/** @param plural where it is more than the noun and an s */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
