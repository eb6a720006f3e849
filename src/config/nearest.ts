/**
 * "Did you mean …?": the known name that is nearest to a misspelt one.
 *
 * Two names that differ only in case, dashes or underscores are the same word written by another
 * habit, so they are nearest of all.
 */

/** Longer input is no misspelling, and comparing costs the product of the lengths. */
const WORD_LENGTH_MAX = 64;

/** The nearest of `known`, or `undefined` where none is near enough to be meant. O(known). */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined;
  let best: string | undefined;
  // One slip in four letters, three at most: beyond that the suggestion would be a guess.
  let bestDistance = Math.min(3, Math.floor(word.length / 4) + 1) + 1;
  for (const name of known) {
    const distance = plain(word) === plain(name) ? 0 : editDistance(plain(word), plain(name));
    if (distance >= bestDistance) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}

/** ` (did you mean "name"?)`, or nothing: the end of a message about an unknown name. */
export function didYouMean(word: string, known: readonly string[]): string {
  const name = nearest(word, known);
  return name === undefined ? "" : `; did you mean "${name}"?`;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`. */
function editDistance(a: string, b: string): number {
  let twoAgo: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (before[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (twoAgo[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    twoAgo = before;
    before = row;
  }
  return before[b.length] ?? 0;
}
