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

/** Bytes that mean something within a list or an object: 1. */
const MEANING = new Uint8Array(256);
for (const byte of [QUOTE, OPEN_BRACKET, OPEN_BRACE, CLOSE_BRACKET, CLOSE_BRACE]) MEANING[byte] = 1;

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
  #state: "begin" | "word" | "string" | "nested" | "ended" = "begin";

  constructor(at: number) {
    this.at = at;
  }

  /** Begins with another value. */
  begin(at: number): void {
    this.at = at;
    this.deepest = 0;
    this.#depth = 0;
    this.#state = "begin";
  }

  /**
   * Goes on as far as `limit`.
   *
   * @returns whether the value's end was found. `at` may lie one byte beyond the limit.
   */
  run(bytes: Uint8Array, limit: number): boolean {
    let i = this.at;
    let depth = this.#depth;
    let deepest = this.deepest;
    let state = this.#state;
    // All that a byte costs is here, so nothing is called and nothing is stored for one.
    while (i < limit && state !== "ended") {
      if (state === "string") {
        while (i < limit && bytes[i] !== QUOTE && bytes[i] !== BACKSLASH) i++;
        if (i >= limit) break;
        if (bytes[i] === QUOTE) state = depth === 0 ? "ended" : "nested";
        i += bytes[i] === BACKSLASH ? 2 : 1;
        continue;
      }
      if (state === "nested") {
        while (i < limit && MEANING[bytes[i] as number] === 0) i++;
        if (i >= limit) break;
      }
      const byte = bytes[i] as number;
      if (byte === QUOTE && state !== "word") {
        state = "string";
        i++;
      } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
        state = "nested";
        if (++depth > deepest) deepest = depth;
        i++;
      } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
        if (depth <= 1) state = "ended";
        if (depth > 0) i++; // Else it closes what the value lies in.
        depth--;
      } else if (byte === COMMA || isSpace(byte)) state = "ended";
      else {
        state = "word";
        i++;
      }
    }
    this.at = i;
    this.deepest = deepest;
    this.#depth = depth;
    this.#state = state;
    return state === "ended";
  }
}
