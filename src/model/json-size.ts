/**
 * How much a JSON text would be once it is parsed, told before: a parser takes up to eighty times
 * the memory of a text that is nothing but brackets, also of one that is no JSON in the end.
 */

/** What we read has ten. */
export const LEVELS_MAX = 64;

/** Lists and objects of one text. A page of 500 instances has some 10,000; each takes 100 bytes. */
export const CONTAINERS_MAX = 1_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether a text, be it JSON or not, can be parsed without more memory than it deserves. O(n). */
export function isModest(json: string): boolean {
  let levels = 0;
  let containers = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(json, at);
      continue;
    }
    // "[" and "{", "]" and "}" differ in one bit.
    const folded = code | 0x20;
    if (folded === 0x7d) levels--;
    if (folded !== 0x7b) continue;
    levels++;
    containers++;
    if (levels > LEVELS_MAX || containers > CONTAINERS_MAX) return false;
  }
  return true;
}

/** Where the string that begins at `start` ends; the end of the text, if it does not. */
function endOfString(json: string, start: number): number {
  let from = start + 1;
  for (;;) {
    const end = json.indexOf('"', from);
    if (end === -1) return json.length;
    let escapes = 0;
    while (json.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
    from = end + 1;
  }
}
