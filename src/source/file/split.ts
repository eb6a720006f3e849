/**
 * Cuts the file into its head and its records, so that one edited record is the only one parsed.
 *
 * Works on the usual layout: `instances:` as the last field, its entries as `- ` at one depth. YAML
 * closes whatever an entry has opened when a line at that depth begins with a dash, so the cut
 * needs no parser. Any other layout is left to be parsed whole.
 */

import type { Slices } from "../slices.ts";

/** A part of the file and the line it begins on. */
export interface Chunk {
  readonly text: string;
  readonly line: number;
}

export interface Layout {
  /** All before the first record, `instances:` included. */
  readonly head: Chunk;
  readonly records: readonly Chunk[];
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const HASH = 35;
const DASH = 45;

/** Cuts `bytes`, which are UTF-8; `undefined` where the layout is another. O(bytes). */
export async function split(bytes: Buffer, slices: Slices): Promise<Layout | undefined> {
  const records: Chunk[] = [];
  let head: Chunk | undefined;
  let depth: number | undefined;
  let [line, start, begin, beginLine, anything] = [1, 0, 0, 1, false];
  const take = (end: number): Chunk => ({
    // A copy of its own: a slice of one big string would keep every version of the file alive.
    text: bytes.toString("utf8", begin, end),
    line: beginLine,
  });
  for (; start < bytes.length; line++) {
    if (slices.due()) await slices.rest();
    const newline = bytes.indexOf(LF, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    const indent = indentOf(bytes, start, end);
    const first = bytes[start + indent];
    const silent = start + indent === end || first === LF || first === CR || first === HASH;
    if (silent) {
      // Blank lines and comments belong to what is above them.
    } else if (head === undefined) {
      if (indent === 0 && isListHead(bytes, start, end)) {
        head = { text: bytes.toString("utf8", 0, end), line: 1 };
      } else if (indent === 0 && !isFieldStart(bytes, start, end, anything)) return undefined;
      anything = true;
    } else if (isEntry(bytes, start + indent, end) && (depth ?? indent) === indent) {
      if (depth !== undefined) records.push(take(start));
      depth = indent;
      [begin, beginLine] = [start, line];
    } else if (indent === 0 || depth === undefined) return undefined;
    start = end;
  }
  if (head === undefined || depth === undefined) return undefined;
  records.push(take(bytes.length));
  return { head, records };
}

function indentOf(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] === SPACE) at++;
  return at - start;
}

/** `instances:` and nothing else on the line but a comment. */
function isListHead(bytes: Buffer, start: number, end: number): boolean {
  return (
    bytes.subarray(start, start + 10).equals(LIST_HEAD) &&
    /^instances:[ \t]*(#.*)?[\r\n]*$/.test(
      bytes.toString("latin1", start, Math.min(end, start + 200)),
    )
  );
}

const LIST_HEAD = Buffer.from("instances:");

/** What may begin a line of the head: `---` before anything else, or a field, or a list's dash. */
function isFieldStart(bytes: Buffer, start: number, end: number, anything: boolean): boolean {
  const text = bytes.toString("latin1", start, Math.min(end, start + 12));
  if (/^---\s*$/.test(text)) return !anything;
  return !/^(---|\.\.\.|%|instances)/.test(text);
}

/** A dash that opens an entry of a list. */
function isEntry(bytes: Buffer, at: number, end: number): boolean {
  const next = bytes[at + 1];
  return bytes[at] === DASH && (at + 1 === end || next === SPACE || next === LF || next === CR);
}
