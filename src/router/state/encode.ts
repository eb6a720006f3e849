/**
 * Entries as bytes: the content of one frame.
 *
 * Ten thousand instances are read back at every start, so the form is made for reading: strings
 * are there once for each frame, in one text that is cut up; pairs of key and value that several
 * instances share are there once too; the rest is numbers.
 *
 * | part | content |
 * |---|---|
 * | 5 × u32 | how many numbers there are of each sort, the text's bytes, and its encoding |
 * | u32 … | strings: the length of each, in units of the text |
 * | u32 … | pairs: name, value |
 * | u32 … | records: own length, kind, fields in the order of `#add…` |
 * | bytes | the text: all strings, one after the other |
 * | bytes | user data, one after the other |
 *
 * A string is its place among the strings plus one; 0 is "none". A number takes two places.
 * Readers skip records of unknown kind, and fields that they do not know at a record's end: there
 * payloads stand, behind the keys.
 */

import type { Binding, Body, StoredBody } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { isStored, type Payload } from "../../model/payload.ts";
import type { Entry, KeptBinding, PasswordEntry, SnapshotEntry } from "./entry.ts";
import { FRAME_BYTES, INLINE_BYTES_MAX } from "./limits.ts";
import { type Column, FrameStrings } from "./strings.ts";
import { Words } from "./words.ts";

/** Kinds of records. Never reused. */
export const RECORD = { put: 1, withhold: 2, delete: 3, password: 4 } as const;

/** Counts of strings, pair numbers and record numbers; bytes of text; its encoding. Bytes. */
export const HEAD_BYTES = 20;

/** How the text is kept. Both give back every string as it was, even one that is no valid text. */
export const ENCODINGS = ["latin1", "utf16le"] as const;

/** How user data is kept. */
export const BODY = { none: 0, inline: 1, stored: 2 } as const;

const WORD = 0x1_0000_0000;

/** Numbers of a put record, without its keys. */
const PUT_NUMBERS = 15;

/** A payload, as its name and those of its parts. Estimated bytes. */
const PAYLOAD_BYTES = 512;

/** What may end a put record, as one number: bits. Absent where none is set. */
export const FLAG = { sealed: 1 } as const;

/** Buffers longer than this are not kept for the next frame. Bytes. */
const KEPT_BYTES_MAX = 8 * FRAME_BYTES;

/**
 * Collects entries for one frame after the other. What it works with is used again, because what
 * is thrown away is collected while guests wait.
 */
export class FrameEncoder {
  /** Called for each body outside the frame, which must be kept. */
  readonly #onStored: (body: StoredBody) => void;
  readonly #strings = new FrameStrings();
  readonly #records = new Words();
  #bodies: Uint8Array[] = [];
  #bodyBytes = 0;
  #frame = Buffer.alloc(0);
  /** Names of the last binding that came as it is kept, and their columns. */
  #names: readonly string[] = [];
  #columns: readonly Column[] = [];

  constructor(onStored: (body: StoredBody) => void) {
    this.#onStored = onStored;
  }

  /** Size so far, estimated. */
  get bytes(): number {
    const { lengths, pairs, textLength } = this.#strings;
    return (
      4 * (lengths.length + pairs.length + this.#records.length) + textLength + this.#bodyBytes
    );
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  add(entry: SnapshotEntry): void {
    const records = this.#records;
    const start = records.length;
    records.push(0);
    if (entry.kind === "password") this.#addPassword(entry.record);
    else if (entry.kind === "kept") this.#addKept(entry.kept);
    else if (!this.#addChange(entry.change)) {
      records.length = start;
      return;
    }
    records.array[start] = records.length - start;
  }

  /** The frame's content, until the next call; and begins another frame. */
  finish(): Buffer {
    const parts = [this.#strings.lengths.used, this.#strings.pairs.used, this.#records.used];
    const [strings, pairs, records] = parts.map(({ length }) => length) as [number, number, number];
    const text = this.#strings.take();
    const encoding = /[^\0-\xff]/.test(text) ? 1 : 0;
    const textBytes = text.length << encoding;
    const frame = this.#room(
      HEAD_BYTES + 4 * (strings + pairs + records) + textBytes + this.#bodyBytes,
    );
    for (const [index, word] of [strings, pairs, records, textBytes, encoding].entries()) {
      frame.writeUInt32LE(word, 4 * index);
    }
    let at = HEAD_BYTES;
    for (const part of parts) {
      new Uint32Array(frame.buffer, at, part.length).set(part);
      at += 4 * part.length;
    }
    frame.write(text, at, ENCODINGS[encoding]);
    at += textBytes;
    for (const body of this.#bodies) {
      frame.set(body, at);
      at += body.length;
    }
    this.#records.length = 0;
    this.#bodies = [];
    this.#bodyBytes = 0;
    this.#names = [];
    return frame;
  }

  #room(length: number): Buffer {
    if (this.#frame.length < length || this.#frame.length > KEPT_BYTES_MAX) {
      this.#frame = Buffer.allocUnsafeSlow(length + (length >> 2));
    }
    return this.#frame.subarray(0, length);
  }

  #addChange(change: Change): boolean {
    const strings = this.#strings;
    if (change.kind === "put") this.#addBinding(change.binding);
    else if (change.kind === "delete") this.#addDelete(change);
    else if (change.kind === "withhold") {
      const { network, address, reason, epoch, mac, since, note } = change.withheld;
      this.#words(RECORD.withhold, strings.shared(network), strings.own(address));
      this.#number(epoch);
      this.#words(strings.own(mac), strings.shared(reason));
      this.#number(since);
      if (note !== undefined) this.#words(strings.own(note));
    } else return false;
    return true;
  }

  #addDelete({ network, address }: { network: string; address: string }): void {
    this.#words(RECORD.delete, this.#strings.shared(network), this.#strings.own(address));
  }

  #addBinding(binding: Binding): void {
    const { keys, userData } = binding;
    if (!this.#addPut(binding, userData, keys.length)) return;
    const strings = this.#strings;
    const array = this.#records.reserve(keys.length);
    let at = this.#records.length;
    for (const [name, value] of keys) array[at++] = strings.pair(strings.column(name), value);
    this.#records.length = at;
    this.#addRest(binding, binding.payloads);
  }

  #addKept(kept: KeptBinding): void {
    const { shape, values, userData, payloads } = kept.document;
    if (!this.#addPut(kept, userData, shape.names.length)) return;
    const strings = this.#strings;
    if (shape.names !== this.#names) {
      this.#names = shape.names;
      this.#columns = shape.names.map((name) => strings.column(name));
    }
    const columns = this.#columns;
    const array = this.#records.reserve(columns.length);
    let at = this.#records.length;
    for (let index = 0; index < columns.length; index++) {
      array[at++] = strings.pair(columns[index] as Column, values[index] ?? null);
    }
    this.#records.length = at;
    this.#addRest(kept, payloads);
  }

  /** What most bindings have none of. Last, so that a program which does not know it skips it. */
  #addRest({ sealed }: Pick<Binding, "sealed">, payloads: Binding["payloads"]): void {
    if (payloads !== undefined || sealed === true) this.#addPayloads(payloads ?? []);
    if (sealed === true) this.#records.push(FLAG.sealed);
  }

  /** All but the keys. False if it says that nothing is known, and no keys may follow. */
  #addPut(
    binding: Omit<Binding, "keys" | "userData" | "payloads">,
    userData: Body | undefined,
    keyCount: number,
  ): boolean {
    // Too long to be kept: better nothing after a restart, until the source is read, than a part.
    if (isTooLong(userData)) {
      this.#addDelete(binding);
      return false;
    }
    const { epoch, origin } = binding;
    const strings = this.#strings;
    const array = this.#records.reserve(PUT_NUMBERS);
    let at = this.#records.length;
    array[at++] = RECORD.put;
    array[at++] = strings.shared(binding.network);
    array[at++] = strings.own(binding.address);
    array[at++] = high(epoch);
    array[at++] = low(epoch);
    array[at++] = strings.own(binding.mac);
    array[at++] = strings.own(binding.instance);
    array[at++] = strings.own(binding.name);
    array[at++] = strings.shared(origin.kind);
    array[at++] = strings.shared(origin.place);
    array[at++] = strings.own(binding.note);
    array[at++] = howKept(userData);
    array[at++] = userData?.length ?? 0;
    array[at++] = this.#body(userData);
    array[at++] = keyCount;
    this.#records.length = at;
    return true;
  }

  /** Where user data lies: its place among the frame's, or its hash. */
  #body(userData: Body | undefined): number {
    if (userData === undefined) return 0;
    if (userData instanceof Uint8Array) {
      const at = this.#bodyBytes;
      this.#bodies.push(userData);
      this.#bodyBytes += userData.length;
      return at;
    }
    this.#onStored(userData);
    return this.#strings.shared(userData.hash);
  }

  /** How many, then of each its name, its bytes, and the hashes of its parts. */
  #addPayloads(payloads: readonly Payload[]): void {
    const stored = payloads.filter(isStored);
    this.#words(stored.length);
    for (const { sha256, bytes, parts } of stored) {
      this.#words(this.#strings.shared(sha256), bytes);
      for (const part of parts) {
        this.#onStored(part);
        this.#words(this.#strings.shared(part.hash));
      }
    }
  }

  #addPassword(record: PasswordEntry): void {
    const { network, address, epoch, pending, via, former, standing, acknowledged } = record;
    const strings = this.#strings;
    this.#words(RECORD.password, strings.shared(network), strings.own(address));
    this.#number(epoch);
    this.#words(strings.own(pending), strings.shared(via), strings.own(former));
    this.#words(strings.own(standing), acknowledged.length);
    for (const { digest, at, stated } of acknowledged) {
      this.#words(strings.own(digest));
      this.#number(at);
      this.#words(stated ? 1 : 0);
    }
  }

  #words(...words: readonly number[]): void {
    for (const word of words) this.#records.push(word);
  }

  #number(value: number): void {
    this.#words(high(value), low(value));
  }
}

function high(value: number): number {
  return Math.floor(whole(value) / WORD);
}

function low(value: number): number {
  return whole(value) % WORD;
}

/** Epochs and times: whole numbers from 0 to 2^53. */
function whole(value: number): number {
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function howKept(userData: Body | undefined): number {
  if (userData === undefined) return BODY.none;
  return userData instanceof Uint8Array ? BODY.inline : BODY.stored;
}

function isTooLong(userData: Body | undefined): boolean {
  return userData instanceof Uint8Array && userData.length > INLINE_BYTES_MAX;
}

/** What an entry takes, estimated without encoding it: for limits on what waits. Bytes. */
export function estimate(entry: Entry): number {
  if (entry.kind === "password") return 512;
  if (entry.change.kind !== "put") return 128;
  const { keys, userData, payloads } = entry.change.binding;
  let bytes = 256 + (userData instanceof Uint8Array ? userData.length : 0);
  bytes += PAYLOAD_BYTES * (payloads?.length ?? 0);
  for (const [name, value] of keys) bytes += name.length + (value?.length ?? 0) + 8;
  return bytes;
}
