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
 * Readers skip records of unknown kind, and fields that they do not know at a record's end.
 */

import type { Binding, StoredBody } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import type { Entry, PasswordEntry } from "./entry.ts";
import { INLINE_BYTES_MAX } from "./limits.ts";

/** Kinds of records. Never reused. */
export const RECORD = { put: 1, withhold: 2, delete: 3, password: 4 } as const;

/** Counts of strings, pair numbers and record numbers; bytes of text; its encoding. Bytes. */
export const HEAD_BYTES = 20;

/** How the text is kept. Both give back every string as it was, even one that is no valid text. */
export const ENCODINGS = ["latin1", "utf16le"] as const;

/** How user data is kept. */
export const BODY = { none: 0, inline: 1, stored: 2 } as const;

const WORD = 0x1_0000_0000;

/** Collects entries for one frame. */
export class FrameEncoder {
  /** Called for each body outside the frame, which must be kept. */
  readonly #onStored: (body: StoredBody) => void;
  readonly #strings = new Map<string, number>();
  readonly #pairs = new Map<number, number>();
  readonly #pairNumbers: number[] = [];
  readonly #numbers: number[] = [];
  readonly #bodies: Uint8Array[] = [];
  #bodyBytes = 0;
  #bytes = 0;

  constructor(onStored: (body: StoredBody) => void) {
    this.#onStored = onStored;
  }

  /** Size so far, estimated. */
  get bytes(): number {
    return this.#bytes + this.#bodyBytes;
  }

  get isEmpty(): boolean {
    return this.#numbers.length === 0;
  }

  add(entry: Entry): void {
    const start = this.#numbers.length;
    this.#numbers.push(0);
    if (entry.kind === "password") this.#addPassword(entry.record);
    else if (!this.#addChange(entry.change)) {
      this.#numbers.length = start;
      return;
    }
    const length = this.#numbers.length - start;
    this.#numbers[start] = length;
    this.#bytes += 4 * length;
  }

  finish(): Buffer {
    const strings = [...this.#strings.keys()];
    const text = strings.join("");
    const encoding = /^[\0-\xff]*$/.test(text) ? 0 : 1;
    const textBytes = Buffer.from(text, ENCODINGS[encoding]);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32LE(strings.length, 0);
    head.writeUInt32LE(this.#pairNumbers.length, 4);
    head.writeUInt32LE(this.#numbers.length, 8);
    head.writeUInt32LE(textBytes.length, 12);
    head.writeUInt32LE(encoding, 16);
    const lengths = strings.map((string) => string.length);
    const numbers = Uint32Array.from([...lengths, ...this.#pairNumbers, ...this.#numbers]);
    return Buffer.concat([head, new Uint8Array(numbers.buffer), textBytes, ...this.#bodies]);
  }

  #addChange(change: Change): boolean {
    if (change.kind === "put") {
      // Too long to be kept: better nothing after a restart, until the source is read, than a part.
      if (isTooLong(change.binding)) this.#addDelete(change.binding);
      else this.#addPut(change.binding);
    } else if (change.kind === "delete") this.#addDelete(change);
    else if (change.kind === "withhold") {
      const { network, address, reason, epoch, mac, since } = change.withheld;
      this.#numbers.push(RECORD.withhold, this.#text(network), this.#text(address));
      this.#number(epoch);
      this.#numbers.push(this.#text(mac), this.#text(reason));
      this.#number(since);
    } else return false;
    return true;
  }

  #addDelete({ network, address }: { network: string; address: string }): void {
    this.#numbers.push(RECORD.delete, this.#text(network), this.#text(address));
  }

  #addPut(binding: Binding): void {
    const { network, address, epoch, mac, instance, name, origin, keys, userData } = binding;
    this.#numbers.push(RECORD.put, this.#text(network), this.#text(address));
    this.#number(epoch);
    this.#numbers.push(this.#text(mac), this.#text(instance), this.#text(name));
    this.#numbers.push(this.#text(origin.kind), this.#text(origin.place));
    this.#numbers.push(this.#text(origin.bagDigest));
    if (userData === undefined) this.#numbers.push(BODY.none, 0, 0);
    else if (userData instanceof Uint8Array) {
      this.#numbers.push(BODY.inline, userData.length, this.#bodyBytes);
      this.#bodies.push(userData);
      this.#bodyBytes += userData.length;
    } else {
      this.#numbers.push(BODY.stored, userData.length, this.#text(userData.hash));
      this.#onStored(userData);
    }
    this.#numbers.push(keys.length);
    for (const [key, value] of keys) this.#numbers.push(this.#pair(key, value));
  }

  #addPassword(record: PasswordEntry): void {
    const { network, address, epoch, pending, via, former, standing, acknowledged } = record;
    this.#numbers.push(RECORD.password, this.#text(network), this.#text(address));
    this.#number(epoch);
    this.#numbers.push(this.#text(pending), this.#text(via));
    this.#numbers.push(this.#text(former), this.#text(standing));
    this.#numbers.push(acknowledged.length);
    for (const { digest, at, stated } of acknowledged) {
      this.#numbers.push(this.#text(digest));
      this.#number(at);
      this.#numbers.push(stated ? 1 : 0);
    }
  }

  #text(text: string | null | undefined): number {
    if (text === undefined || text === null) return 0;
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const place = this.#strings.size + 1;
    this.#strings.set(text, place);
    this.#bytes += text.length + 4;
    return place;
  }

  #pair(name: string, value: string | null): number {
    const nameAt = this.#text(name);
    const valueAt = this.#text(value);
    const both = nameAt * WORD + valueAt; // Exact below 2^53: a frame has fewer than 2^21 strings.
    const known = this.#pairs.get(both);
    if (known !== undefined) return known;
    const place = this.#pairs.size;
    this.#pairs.set(both, place);
    this.#pairNumbers.push(nameAt, valueAt);
    this.#bytes += 8;
    return place;
  }

  /** Epochs and times: whole numbers from 0 to 2^53. */
  #number(value: number): void {
    const whole = Number.isSafeInteger(value) && value >= 0 ? value : 0;
    this.#numbers.push(Math.floor(whole / WORD), whole % WORD);
  }
}

function isTooLong({ userData }: Binding): boolean {
  return userData instanceof Uint8Array && userData.length > INLINE_BYTES_MAX;
}

/** What an entry takes, estimated without encoding it: for limits on what waits. Bytes. */
export function estimate(entry: Entry): number {
  if (entry.kind === "password") return 512;
  if (entry.change.kind !== "put") return 128;
  const { keys, userData } = entry.change.binding;
  let bytes = 256 + (userData instanceof Uint8Array ? userData.length : 0);
  for (const [name, value] of keys) bytes += name.length + (value?.length ?? 0) + 8;
  return bytes;
}
