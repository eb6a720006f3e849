/**
 * Reads an instance's list of [folder, file, contents] straight from its bytes.
 *
 * Ten thousand lists are read at a start. `JSON.parse` makes 50 small objects of each, of which few
 * stay, and those lie scattered over the memory of all: a third more of it, for good. Here only
 * what stays is made; and what an instance has in common with the one before it is there already.
 *
 * Reads what CloudStack writes, in any formatting. Of the rest it says so: `JSON.parse` decides.
 */

import { SHARED_LENGTH_MAX } from "./limits.ts";
import { COMMA, isSpace, QUOTE } from "./scan.ts";

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const BACKSLASH = 0x5c;
const SMALL_N = 0x6e;

/** Texts that are remembered: three for each item. */
const RECENT_MAX = 3 * 64;

/** The texts of the list that was read last, by their place in it. None had an escape. */
const recent: (string | undefined)[] = [];

export type TakeItem = (folder: string, file: string, contents: string | null) => void;

/**
 * Gives each item to `take`, in their order.
 *
 * @returns false if this is anything but a list of texts in ASCII; some items may have been given.
 * @throws {SyntaxError} if it is no JSON; it may be none in other ways, and be told by `false`.
 */
export function readItems(raw: Buffer, take: TakeItem): boolean {
  const reader = new Reader(raw);
  if (!reader.passes(OPEN_BRACKET)) return false;
  if (reader.passes(CLOSE_BRACKET)) return reader.isAtEnd();
  for (let place = 0; ; place += 3) {
    if (!reader.passes(OPEN_BRACKET)) return false;
    const folder = reader.text(place);
    if (folder === undefined || !reader.passes(COMMA)) return false;
    const file = reader.text(place + 1);
    if (file === undefined || !reader.passes(COMMA)) return false;
    const contents = reader.isNull() ? null : reader.text(place + 2);
    if (contents === undefined || !reader.passes(CLOSE_BRACKET)) return false;
    take(folder, file, contents);
    if (reader.passes(COMMA)) continue;
    return reader.passes(CLOSE_BRACKET) && reader.isAtEnd();
  }
}

class Reader {
  readonly #raw: Buffer;
  #at = 0;

  constructor(raw: Buffer) {
    this.#raw = raw;
  }

  /** Goes beyond `byte` if it is what comes next. */
  passes(byte: number): boolean {
    this.#skipSpace();
    if (this.#raw[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  isAtEnd(): boolean {
    this.#skipSpace();
    return this.#at === this.#raw.length;
  }

  /** Goes beyond a `null`. */
  isNull(): boolean {
    this.#skipSpace();
    if (this.#raw[this.#at] !== SMALL_N || !this.#isAt(this.#at, "null")) return false;
    this.#at += 4;
    return true;
  }

  /** Goes beyond a text, whose place in the list is `place`. */
  text(place: number): string | undefined {
    if (!this.passes(QUOTE)) return undefined;
    const raw = this.#raw;
    const start = this.#at;
    const same = recent[place];
    if (same !== undefined && raw[start + same.length] === QUOTE && this.#isAt(start, same)) {
      this.#at = start + same.length + 1;
      return same;
    }
    let at = start;
    let isPlain = true;
    for (let byte = raw[at]; byte !== QUOTE; byte = raw[++at]) {
      if (byte === undefined || byte < 0x20 || byte >= 0x80) return undefined;
      if (byte !== BACKSLASH) continue;
      isPlain = false;
      at++;
    }
    this.#at = at + 1;
    if (!isPlain) return JSON.parse(raw.toString("latin1", start - 1, at + 1)) as string;
    const text = raw.toString("latin1", start, at);
    if (place < RECENT_MAX && text.length <= SHARED_LENGTH_MAX) recent[place] = text;
    return text;
  }

  #isAt(start: number, text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      if (this.#raw[start + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  #skipSpace(): void {
    while (isSpace(this.#raw[this.#at])) this.#at++;
  }
}
