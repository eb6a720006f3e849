/**
 * Finds where a JSON value ends, without understanding it: strings, escapes and depth are all that
 * counts. It can stop anywhere and go on later, so that a long value costs no long pause.
 *
 * It takes what is no JSON as well. Whoever wants the value parses it, and learns so then.
 */

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** The four characters that JSON takes for white space. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The first place from `at` on that holds no white space, or `limit`. */
export function skipSpace(bytes: Uint8Array, at: number, limit: number): number {
  let i = at;
  while (i < limit && isSpace(bytes[i])) i++;
  return i;
}

/** One value, from its first byte on. */
export class ValueScan {
  /** How far it has come; where the value ends, when `run` has said so. */
  at: number;
  /** How deep lists and objects are nested in the value, so far. */
  deepest = 0;
  #depth = 0;
  #quoted = false;
  #begun = false;

  constructor(at: number) {
    this.at = at;
  }

  /**
   * Goes on as far as `limit`.
   *
   * @returns whether the value's end was found. `at` may lie one byte beyond the limit.
   */
  run(bytes: Uint8Array, limit: number): boolean {
    let i = this.at;
    while (i < limit) {
      if (this.#quoted) {
        i = this.#string(bytes, i, limit);
        if (!this.#quoted && this.#depth === 0) return this.#end(i);
        continue;
      }
      const byte = bytes[i] as number;
      if (byte === QUOTE && (this.#depth > 0 || !this.#begun)) {
        this.#quoted = true;
        i++;
      } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
        if (++this.#depth > this.deepest) this.deepest = this.#depth;
        i++;
      } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
        if (this.#depth === 0) return this.#end(i); // A number or word before it.
        i++;
        if (--this.#depth === 0) return this.#end(i);
      } else {
        if (this.#depth === 0 && (byte === COMMA || isSpace(byte))) return this.#end(i);
        i++;
      }
      this.#begun = true;
    }
    this.at = i;
    return false;
  }

  #end(at: number): boolean {
    this.at = at;
    return true;
  }

  /** Within a string: to behind its closing quote, or to the limit. */
  #string(bytes: Uint8Array, at: number, limit: number): number {
    let i = at;
    while (i < limit) {
      const byte = bytes[i];
      if (byte === QUOTE) {
        this.#quoted = false;
        return i + 1;
      }
      i += byte === BACKSLASH ? 2 : 1;
    }
    return i;
  }
}
