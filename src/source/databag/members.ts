/**
 * Finds the members of one large JSON object within the window of bytes that differ from before.
 *
 * A member whose bytes are those of the next one known is taken over unread. Arriving exactly where
 * the unchanged tail begins ends the work: equal bytes, read from the same state, say the same.
 */

import type { Slices } from "../file/slices.ts";
import {
  CLOSE_BRACE,
  COLON,
  COMMA,
  isSpace,
  OPEN_BRACE,
  QUOTE,
  skipSpace,
  ValueScan,
} from "./scan.ts";

/** One member of the object. Offsets count from the file's first byte. */
export interface Member<T> {
  readonly key: string;
  /** Where the key's opening quote stands. */
  start: number;
  /** Where the value begins, and where it ends. */
  value: number;
  end: number;
  /** What was made of the value. */
  data: T | undefined;
  /** How deep the value is nested. */
  readonly depth: number;
  /** Whether its bytes lie in the window, not in the bytes that are known. */
  fresh: boolean;
  /** Whether they have not been looked at yet. */
  unread: boolean;
  /** Until it is in force: the member whose bytes these are too. */
  twin: Member<T> | undefined;
}

/** The file is no JSON object. Never leaves this folder. */
export class BagFlaw extends Error {
  /** Offset in the file. */
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** What is scanned without a look at the clock: a millisecond or two. Bytes. */
const SCAN_BYTES = 1024 * 1024;

/** Longer keys are cut: no address is so long, and each is kept in memory. Bytes. */
const KEY_BYTES_MAX = 256;

export interface Before<T> {
  readonly bytes: Buffer;
  readonly members: readonly Member<T>[];
  readonly byKey: ReadonlyMap<string, Member<T>>;
}

export interface WindowPlace {
  /** Members before this one are as they were. The window begins where the last of them ends. */
  readonly first: number;
  /** Members from this one on may only have moved. The window ends where it begins. */
  readonly tail: number;
  /** By how much they have moved. */
  readonly shift: number;
}

export class MemberScan<T> {
  /** The members within the window, in their order. */
  readonly found: Member<T>[] = [];
  /** The file's bytes from `origin` on. */
  window: Buffer;
  readonly origin: number;
  /** The first member of the tail; the members' number where nothing is left of it. */
  tail: number;
  readonly #before: Before<T>;
  readonly #shift: number;
  readonly #slices: Slices;
  /** Members before this one were passed; this one may come next. */
  #next: number;
  readonly #windowEnd: number;
  #whole: boolean;

  constructor(before: Before<T>, place: WindowPlace, window: Buffer, slices: Slices) {
    this.#before = before;
    this.#shift = place.shift;
    this.#slices = slices;
    this.#next = place.first;
    this.#windowEnd = place.tail;
    this.tail = place.tail;
    this.window = window;
    this.origin = place.first === 0 ? 0 : (before.members[place.first - 1]?.end ?? 0);
    this.#whole = place.tail === before.members.length;
  }

  /** @throws {BagFlaw} if this is no JSON object. */
  async run(): Promise<void> {
    let at = 0;
    if (this.origin === 0) {
      at = await this.#skip(0, true);
      if (this.window[at] !== OPEN_BRACE) throw this.#flaw("is not a JSON object", at);
      at = await this.#skip(at + 1, false);
      if (this.window[at] === CLOSE_BRACE) return this.#close(at + 1);
    } else {
      at = await this.#comma(0);
      if (at < 0) return;
    }
    while (!this.#arrived(at)) {
      if (this.#slices.due()) await this.#slices.rest();
      at = this.#known(at) ?? (await this.#member(at));
      at = await this.#comma(at);
      if (at < 0) return;
    }
  }

  /** From behind a member to the next one; -1 where there is none. */
  async #comma(from: number): Promise<number> {
    const at = await this.#skip(from, false);
    if (this.window[at] === COMMA) return this.#skip(at + 1, false);
    // An unchanged tail begins with a member, so there is no closing brace beyond the window.
    if (this.window[at] !== CLOSE_BRACE) {
      throw this.#flaw(this.#isEnd(at) ? "is cut short" : "a comma is missing", at);
    }
    await this.#close(at + 1);
    return -1;
  }

  async #close(from: number): Promise<void> {
    const at = await this.#skip(from, true);
    if (at < this.window.length) throw this.#flaw("goes on behind its closing brace", at);
    this.tail = this.#before.members.length;
  }

  /** Whether the unchanged tail begins here. */
  #arrived(at: number): boolean {
    const { members } = this.#before;
    const offset = this.origin + at - this.#shift;
    while ((members[this.tail]?.start ?? Number.POSITIVE_INFINITY) < offset) this.tail++;
    return members[this.tail]?.start === offset;
  }

  /** Takes the member over if it is, byte for byte, the one that comes next. Says where it ends. */
  #known(at: number): number | undefined {
    const { members, bytes } = this.#before;
    const member = this.#next < this.#windowEnd ? members[this.#next] : undefined;
    if (member === undefined || member.unread) return undefined;
    const { start, value, end } = member;
    const length = end - start;
    // One byte more: it ends a number.
    if (at + length + 1 > this.window.length) return undefined;
    if (this.window.compare(bytes, start, end + 1, at, at + length + 1) !== 0) return undefined;
    this.#next++;
    const place = this.origin + at;
    const moved = { start: place, value: place + value - start, end: place + length };
    const { key, data, depth } = member;
    this.found.push({ key, data, depth, ...moved, fresh: true, unread: false, twin: member });
    return at + length;
  }

  async #member(start: number): Promise<number> {
    if (this.window[start] !== QUOTE) {
      throw this.#flaw(this.#isEnd(start) ? "is cut short" : "a name in quotes is missing", start);
    }
    const keyEnd = (await this.#value(start)).at;
    const key = this.#key(start, keyEnd);
    const colon = await this.#skip(keyEnd, true);
    if (this.window[colon] !== COLON) {
      throw this.#flaw(this.#isEnd(colon) ? "is cut short" : "a colon is missing", colon);
    }
    const value = await this.#skip(colon + 1, true);
    const scan = await this.#value(value);
    const offsets = {
      start: this.origin + start,
      value: this.origin + value,
      end: this.origin + scan.at,
    };
    const depth = scan.deepest;
    const data = undefined;
    this.found.push({ key, data, depth, ...offsets, fresh: true, unread: true, twin: undefined });
    this.#follow(key);
    return scan.at;
  }

  /** After a member that changed, the one that comes next is the one that came next before. */
  #follow(key: string): void {
    const former = this.#before.byKey.get(key);
    if (former === undefined) return;
    const { members } = this.#before;
    while (this.#next < this.#windowEnd) {
      if ((members[this.#next]?.start ?? 0) > former.start) return;
      this.#next++;
    }
  }

  #key(start: number, end: number): string {
    const inner = this.window.subarray(start + 1, end - 1);
    if (inner.length > KEY_BYTES_MAX) return `${inner.toString("latin1", 0, KEY_BYTES_MAX)}…`;
    const isPlain = inner.every((byte) => byte >= 0x20 && byte < 0x80 && byte !== 0x5c);
    if (isPlain) return inner.toString("latin1");
    try {
      return JSON.parse(this.window.toString("utf8", start, end)) as string;
    } catch {
      throw this.#flaw("a name is not a JSON string", start);
    }
  }

  async #value(at: number): Promise<ValueScan> {
    const scan = new ValueScan(at);
    while (!scan.run(this.window, Math.min(this.window.length, scan.at + SCAN_BYTES))) {
      if (this.#slices.due()) await this.#slices.rest();
      if (scan.at >= this.window.length && !this.#extend()) throw this.#flaw("is cut short", at);
    }
    return scan;
  }

  /** To the next byte that is no white space; `beyond` the window only where the tail cannot begin. */
  async #skip(from: number, beyond: boolean): Promise<number> {
    let at = from;
    for (;;) {
      at = skipSpace(this.window, at, Math.min(this.window.length, at + SCAN_BYTES));
      if (at < this.window.length && !isSpace(this.window[at])) return at;
      if (at >= this.window.length && !(beyond && this.#extend())) return at;
      if (this.#slices.due()) await this.#slices.rest();
    }
  }

  /** What seemed to be a tail lies within a value: takes it into the window. */
  #extend(): boolean {
    if (this.#whole) return false;
    this.#whole = true;
    const { bytes } = this.#before;
    const from = this.origin + this.window.length - this.#shift;
    const window = Buffer.allocUnsafeSlow(this.window.length + bytes.length - from);
    this.window.copy(window);
    bytes.copy(window, this.window.length, from);
    this.window = window;
    return true;
  }

  #isEnd(at: number): boolean {
    return this.#whole && at >= this.window.length;
  }

  #flaw(message: string, at: number): BagFlaw {
    return new BagFlaw(message, this.origin + at);
  }
}
