/**
 * Finds the members of one large JSON object, piece by piece.
 *
 * A member whose digest is that of the next one known is taken over unread, which is most of what
 * there is to do when one of thousands has changed.
 */

import { contentHash } from "../../protocol/etag.ts";
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
import { CHUNK_BYTES, type Stream } from "./stream.ts";

/** One member of the object. */
export interface Member<T> {
  readonly key: string;
  /** Where its first byte stands in the file. */
  start: number;
  /** Its length, from the key's opening quote to the value's end. Bytes. */
  readonly length: number;
  /** Of all these bytes. */
  readonly digest: string;
  /** What was made of the value. */
  readonly data: T;
}

/** A member that was found, not in force yet. */
export interface Found<T> {
  readonly member: Member<T>;
  readonly start: number;
}

/** A member whose value is to be looked at. */
export interface Raw {
  readonly key: string;
  readonly digest: string;
  /** The value's JSON text: a view that is valid for this moment only. */
  readonly raw: Buffer;
  /** How deep the value is nested. */
  readonly depth: number;
  /** Too long to be held; then `raw` is empty. */
  readonly isLong: boolean;
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

/** Longer values are not held in memory: 1 MiB of user data as base64, thrice. Bytes. */
export const VALUE_BYTES_MAX = 4 * 1024 * 1024;

/** What is scanned without a look at the clock: a millisecond or two. Bytes. */
const SCAN_BYTES = 1024 * 1024;

/** A line end and its indentation. Bytes. */
const NEAR_BYTES = 64;

/** Longer keys are cut: no address is so long, and each is kept in memory. Bytes. */
const KEY_BYTES_MAX = 256;

export interface Before<T> {
  readonly members: readonly Member<T>[];
  readonly byKey: ReadonlyMap<string, Member<T>>;
}

/** Tells one member from another, across restarts: 132 bits are enough. */
export function digestOf(bytes: Uint8Array): string {
  return contentHash(bytes);
}

export class MemberScan<T> {
  /** All members, in their order. */
  readonly found: Found<T>[] = [];
  /** Those among them that are not known ones taken over. */
  readonly fresh: Found<T>[] = [];
  /** Known ones that were not found where they were expected. */
  readonly gone: Member<T>[] = [];
  readonly #before: Before<T>;
  readonly #stream: Stream;
  readonly #make: (raw: Raw, at: number) => T;
  /** The known member that may come next. */
  #next = 0;
  /** For values that lie in memory, which are nearly all. */
  readonly #here = new ValueScan(0);

  /** @param make makes what is kept of a value; is given the value's offset too */
  constructor(before: Before<T>, stream: Stream, make: (raw: Raw, at: number) => T) {
    this.#before = before;
    this.#stream = stream;
    this.#make = make;
  }

  /**
   * Yields whenever others may run; `true` when there must be more in the stream.
   *
   * @throws {BagFlaw} if this is no JSON object.
   */
  *run(): Generator<boolean> {
    let at = yield* this.#skip(0);
    if (this.#stream.bytes[at] !== OPEN_BRACE || this.#isEnd(at)) {
      throw this.#flaw("is not a JSON object", at);
    }
    at = yield* this.#skip(at + 1);
    if (!this.#isEnd(at) && this.#stream.bytes[at] === CLOSE_BRACE) return yield* this.#close(at);
    for (;;) {
      yield false;
      if (at > CHUNK_BYTES) {
        this.#stream.drop(at);
        at = 0;
      }
      while (!this.#isKnownHere(at)) yield true;
      const known = this.#known(at);
      const end = known === 0 ? yield* this.#member(at) : at + known;
      at = this.#near(end) ?? (yield* this.#skip(end));
      if (this.#isEnd(at)) throw this.#flaw("is cut short", at);
      if (this.#stream.bytes[at] === CLOSE_BRACE) return yield* this.#close(at);
      if (this.#stream.bytes[at] !== COMMA) throw this.#flaw("a comma is missing", at);
      at = this.#near(at + 1) ?? (yield* this.#skip(at + 1));
    }
  }

  *#close(brace: number): Generator<boolean> {
    const at = yield* this.#skip(brace + 1);
    if (!this.#isEnd(at)) throw this.#flaw("goes on behind its closing brace", at);
    this.#pass(this.#before.members.length);
  }

  /** Whether as many bytes are in memory as the member that may come next has, or there are. */
  #isKnownHere(at: number): boolean {
    const member = this.#before.members[this.#next];
    if (member === undefined || member.length > VALUE_BYTES_MAX) return true;
    // One byte more, which must end a number: digits could follow.
    return this.#stream.length > at + member.length || !this.#stream.hasMore;
  }

  /** Takes the member over if it is the one that comes next. Says how long it is, or 0. */
  #known(at: number): number {
    const member = this.#before.members[this.#next];
    if (member === undefined || member.length > VALUE_BYTES_MAX) return 0;
    const end = at + member.length;
    if (this.#stream.length <= end) return 0;
    const after = this.#stream.bytes[end];
    if (after !== COMMA && after !== CLOSE_BRACE && !isSpace(after)) return 0;
    if (digestOf(this.#stream.bytes.subarray(at, end)) !== member.digest) return 0;
    this.#next++;
    this.found.push({ member, start: this.#stream.origin + at });
    return member.length;
  }

  *#member(start: number): Generator<boolean, number> {
    const stream = this.#stream;
    if (this.#isEnd(start)) throw this.#flaw("is cut short", start);
    if (stream.bytes[start] !== QUOTE) throw this.#flaw("a name in quotes is missing", start);
    // From here on bytes may be dropped: places in the file stay what they are.
    const place = stream.origin + start;
    const keyEnd = (this.#valueHere(start) ?? (yield* this.#value(start))).at;
    if (stream.origin + keyEnd - place > VALUE_BYTES_MAX) {
      throw new BagFlaw("a name is too long", place);
    }
    const key = this.#key(place - stream.origin, keyEnd);
    const colon = this.#near(keyEnd) ?? (yield* this.#skip(keyEnd));
    if (this.#isEnd(colon)) throw this.#flaw("is cut short", colon);
    if (stream.bytes[colon] !== COLON) throw this.#flaw("a colon is missing", colon);
    const value = stream.origin + (this.#near(colon + 1) ?? (yield* this.#skip(colon + 1)));
    const from = value - stream.origin;
    const { at: end, deepest: depth } = this.#valueHere(from) ?? (yield* this.#value(from));

    const { origin, bytes } = stream;
    const length = origin + end - place;
    const isLong = origin + end - value > VALUE_BYTES_MAX;
    const digest = isLong ? `${length}` : digestOf(bytes.subarray(place - origin, end));
    const former = this.#before.byKey.get(key);
    const raw = isLong ? bytes.subarray(0, 0) : bytes.subarray(value - origin, end);
    const isKnown = former?.digest === digest;
    const data = isKnown ? former.data : this.#make({ key, digest, raw, depth, isLong }, value);
    const found = { member: { key, start: place, length, digest, data }, start: place };
    this.found.push(found);
    this.fresh.push(found);
    this.#follow(former);
    return end;
  }

  /** After a member that changed, the one that comes next is the one that came next before. */
  #follow(former: Member<T> | undefined): void {
    if (former === undefined) return;
    const { members } = this.#before;
    let next = this.#next;
    while (next < members.length && (members[next]?.start ?? 0) <= former.start) next++;
    this.#pass(next);
  }

  #pass(next: number): void {
    const { members } = this.#before;
    for (; this.#next < next; this.#next++) {
      const member = members[this.#next];
      if (member !== undefined) this.gone.push(member);
    }
  }

  #key(start: number, end: number): string {
    const { bytes } = this.#stream;
    const from = start + 1;
    const to = end - 1;
    if (to - from > KEY_BYTES_MAX) {
      return `${bytes.toString("latin1", from, from + KEY_BYTES_MAX)}…`;
    }
    if (isPlain(bytes, from, to)) return bytes.toString("latin1", from, to);
    try {
      return JSON.parse(bytes.toString("utf8", start, end)) as string;
    } catch {
      throw this.#flaw("a name is not a JSON string", start);
    }
  }

  /** `#value` where the value lies in memory and is short: without waiting, and nothing is made. */
  #valueHere(from: number): ValueScan | undefined {
    const { bytes, length } = this.#stream;
    this.#here.begin(from);
    return this.#here.run(bytes, Math.min(length, from + SCAN_BYTES)) ? this.#here : undefined;
  }

  /** To a value's end. What is too long is not held: then `at` counts from another place. */
  *#value(from: number): Generator<boolean, ValueScan> {
    const stream = this.#stream;
    const place = stream.origin + from;
    const scan = new ValueScan(from);
    while (!scan.run(stream.bytes, Math.min(stream.length, scan.at + SCAN_BYTES))) {
      yield false;
      if (scan.at < stream.length) continue;
      if (!stream.hasMore) throw new BagFlaw("is cut short", place);
      if (stream.origin + scan.at - place > VALUE_BYTES_MAX) {
        const passed = Math.min(scan.at, stream.length);
        stream.drop(passed);
        scan.at -= passed;
      }
      yield true;
    }
    return scan;
  }

  /** `#skip` where there is little to skip, which is the rule: then nothing is to be waited for. */
  #near(from: number): number | undefined {
    const { bytes, length } = this.#stream;
    const at = skipSpace(bytes, from, Math.min(length, from + NEAR_BYTES));
    return at < length && !isSpace(bytes[at]) ? at : undefined;
  }

  /** To the next byte that is no white space, or to the file's end. */
  *#skip(from: number): Generator<boolean, number> {
    const stream = this.#stream;
    let at = from;
    for (;;) {
      at = skipSpace(stream.bytes, at, Math.min(stream.length, at + SCAN_BYTES));
      if (at < stream.length && !isSpace(stream.bytes[at])) return at;
      if (at >= stream.length && !stream.hasMore) return at;
      yield at >= stream.length;
    }
  }

  #isEnd(at: number): boolean {
    return at >= this.#stream.length && !this.#stream.hasMore;
  }

  #flaw(message: string, at: number): BagFlaw {
    return new BagFlaw(message, this.#stream.origin + at);
  }
}

/** Whether text means itself: ASCII without escapes. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (byte < 0x20 || byte >= 0x80 || byte === 0x5c) return false;
  }
  return true;
}
