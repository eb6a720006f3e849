/**
 * Bytes back into entries: the other half of `encode.ts`, made for speed at the start.
 *
 * What is read was sealed by this program, so it is what some version of it wrote. Still every
 * field is checked: another version may have meant something else by it.
 */

import type { Ip, Mac } from "../../model/address.ts";
import {
  type Binding,
  type Body,
  KEY_NAME,
  type KeyValue,
  type Origin,
  type StoredBody,
  type Withheld,
  type WithholdReason,
  type Writable,
} from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import {
  PAYLOAD_BYTES_MAX,
  PAYLOADS_OF_RECORD_MAX,
  type Payload,
  partBytes,
  partsOf,
  SHA256,
} from "../../model/payload.ts";
import { BODY, ENCODINGS, FLAG, HEAD_BYTES, RECORD } from "./encode.ts";
import type { Acknowledged, Entry, PasswordEntry } from "./entry.ts";

/** The content of a frame is not what any version of this program writes. */
export class FrameError extends Error {}

/** Finds a body that lies outside the frame; `undefined` if it is gone. */
export type OpenBody = (ref: { length: number; hash: string }) => StoredBody | undefined;

/** Longest text of an address. Characters. */
const ADDRESS_MAX = 45;
const WORD = 0x1_0000_0000;
const REASONS: ReadonlySet<string> = new Set<WithholdReason>([
  "no-lease",
  "lease-removed",
  "awaiting-metadata",
  "conflict",
]);
const ORIGINS: ReadonlySet<string> = new Set<Origin["kind"]>(["databag", "apply", "file", "store"]);

/** @throws {FrameError} if the content cannot be understood. */
export function decodeFrame(content: Buffer, openBody: OpenBody, onEntry: OnEntry): void {
  const fields = openFrame(content);
  const { numbers } = fields;
  while (fields.at < numbers.length) {
    const end = fields.at + (numbers[fields.at] ?? 0);
    if (end < fields.at + 2 || end > numbers.length) throw new FrameError("record length");
    fields.at++;
    const entry = decodeRecord(fields, end, openBody);
    // Looked at once, not at each field: what was read beyond the end is thrown away with it.
    if (fields.at > end) throw new FrameError("record too short");
    fields.at = end;
    if (entry !== undefined) onEntry(entry);
  }
}

export type OnEntry = (entry: Entry) => void;

function openFrame(content: Buffer): Fields {
  if (content.length < HEAD_BYTES) throw new FrameError("frame head");
  const stringCount = content.readUInt32LE(0);
  const pairsEnd = stringCount + content.readUInt32LE(4);
  const numbersEnd = pairsEnd + content.readUInt32LE(8);
  const textAt = HEAD_BYTES + 4 * numbersEnd;
  const bodiesAt = textAt + content.readUInt32LE(12);
  const encoding = ENCODINGS[content.readUInt32LE(16)];
  if (bodiesAt > content.length || encoding === undefined) throw new FrameError("frame lengths");
  const numbers = numbersOf(content, HEAD_BYTES, numbersEnd);
  const text = content.toString(encoding, textAt, bodiesAt);
  const strings = cut(text, numbers.subarray(0, stringCount));
  const pairs = readPairs(numbers.subarray(stringCount, pairsEnd), strings);
  const bodies = plain(content, bodiesAt);
  return new Fields({ numbers, at: pairsEnd, strings, pairs, bodies });
}

function cut(text: string, lengths: Uint32Array): readonly string[] {
  const strings = new Array<string>(lengths.length);
  let at = 0;
  for (let index = 0; index < lengths.length; index++) {
    const end = at + (lengths[index] ?? 0);
    strings[index] = text.substring(at, end);
    at = end;
  }
  if (at !== text.length) throw new FrameError("text");
  return strings;
}

function readPairs(numbers: Uint32Array, strings: readonly string[]): KeyValue[] {
  const pairs = new Array<KeyValue>(numbers.length >> 1);
  const isName = new Uint8Array(strings.length);
  for (let index = 0; index < pairs.length; index++) {
    const nameAt = (numbers[2 * index] ?? 0) - 1;
    const valueAt = (numbers[2 * index + 1] ?? 0) - 1;
    const name = strings[nameAt];
    const value = valueAt < 0 ? null : strings[valueAt];
    if (name === undefined || value === undefined) throw new FrameError("pair");
    if (isName[nameAt] === 0) {
      if (!KEY_NAME.test(name)) throw new FrameError("key name");
      isName[nameAt] = 1;
    }
    pairs[index] = [name, value];
  }
  return pairs;
}

/** The numbers as they lie in the content, or a copy where that is not aligned. */
function numbersOf(content: Buffer, from: number, count: number): Uint32Array {
  const at = content.byteOffset + from;
  if (at % 4 === 0) return new Uint32Array(content.buffer, at, count);
  return new Uint32Array(plain(content, from).slice(0, 4 * count).buffer);
}

/** Other than a Buffer's, its `slice` is a copy with memory of its own. */
function plain(content: Buffer, from: number): Uint8Array {
  return new Uint8Array(content.buffer, content.byteOffset + from, content.length - from);
}

/** A frame's records, read in order. Plain properties: most of this runs before any compiler. */
class Fields {
  readonly numbers: Uint32Array;
  /** What is read next in `numbers`. */
  at: number;
  readonly strings: readonly string[];
  readonly pairs: readonly KeyValue[];
  /** The frame's user data. */
  readonly bodies: Uint8Array;
  /** Those of the frame that were looked for, by their names. */
  readonly payloads = new Map<string, Payload | "gone">();

  constructor(frame: Pick<Fields, "numbers" | "at" | "strings" | "pairs" | "bodies">) {
    this.numbers = frame.numbers;
    this.at = frame.at;
    this.strings = frame.strings;
    this.pairs = frame.pairs;
    this.bodies = frame.bodies;
  }

  raw(): number {
    return this.numbers[this.at++] ?? 0;
  }

  /** An epoch or a time. */
  number(): number {
    const high = this.raw();
    return high * WORD + this.raw();
  }

  text(): string {
    const text = this.strings[(this.numbers[this.at++] ?? 0) - 1];
    if (text === undefined) throw new FrameError("text");
    return text;
  }

  optionalText(): string | undefined {
    if (this.numbers[this.at] !== 0) return this.text();
    this.at++;
    return undefined;
  }

  address(): Ip {
    return asAddress(this.text());
  }

  keys(): readonly KeyValue[] {
    const { numbers, pairs } = this;
    const count = this.raw();
    let { at } = this;
    if (at + count > numbers.length) throw new FrameError("keys");
    const keys = new Array<KeyValue>(count);
    for (let index = 0; index < count; index++) {
      const pair = pairs[numbers[at++] as number];
      if (pair === undefined) throw new FrameError("pair");
      keys[index] = pair;
    }
    this.at = at;
    return keys;
  }
}

function decodeRecord(fields: Fields, end: number, openBody: OpenBody): Entry | undefined {
  const kind = fields.raw();
  if (kind === RECORD.password) return decodePassword(fields);
  if (kind === RECORD.put) return { kind: "change", change: decodePut(fields, end, openBody) };
  if (kind === RECORD.withhold) return { kind: "change", change: decodeWithhold(fields, end) };
  if (kind !== RECORD.delete) return undefined;
  return { kind: "change", change: gone(fields.text(), fields.address()) };
}

function gone(network: string, address: Ip): Change {
  return { kind: "delete", network, address };
}

/** Field by field without calls, because most of a start is spent here, before any compiler. */
function decodePut(fields: Fields, end: number, openBody: OpenBody): Change {
  const { numbers, strings } = fields;
  let { at } = fields;
  const network = strings[(numbers[at++] as number) - 1];
  const address = strings[(numbers[at++] as number) - 1];
  const epoch = (numbers[at++] as number) * WORD + (numbers[at++] as number);
  const mac = strings[(numbers[at++] as number) - 1] as Mac | undefined;
  const instance = strings[(numbers[at++] as number) - 1];
  const name = strings[(numbers[at++] as number) - 1];
  const originKind = strings[(numbers[at++] as number) - 1];
  const place = strings[(numbers[at++] as number) - 1];
  const note = strings[(numbers[at++] as number) - 1];
  if (
    network === undefined ||
    address === undefined ||
    instance === undefined ||
    name === undefined ||
    originKind === undefined ||
    place === undefined
  ) {
    throw new FrameError("text");
  }
  fields.at = at;
  const userData = decodeBody(fields, openBody);
  const keys = fields.keys();
  const payloads = fields.at < end ? decodePayloads(fields, openBody) : [];
  const flags = fields.at < end ? fields.raw() : 0;
  const ip = asAddress(address);
  // A body that is gone: better nothing, until the source is read, than an answer without it.
  if (userData === "gone" || !ORIGINS.has(originKind)) return gone(network, ip);
  const origin = originOf(originKind as Origin["kind"], place);
  const binding: Writable<Binding> = { network, address: ip, epoch, instance, name, keys, origin };
  if (mac !== undefined) binding.mac = mac;
  if (userData !== undefined) binding.userData = userData;
  if (note !== undefined) binding.note = note;
  if (payloads.length > 0) binding.payloads = payloads;
  if ((flags & FLAG.sealed) !== 0) binding.sealed = true;
  return { kind: "put", binding };
}

let lastOrigin: Origin = { kind: "databag", place: "" };

/** One object for one after the other of the same origin, which nearly all are. */
function originOf(kind: Origin["kind"], place: string): Origin {
  if (lastOrigin.kind !== kind || lastOrigin.place !== place) lastOrigin = { kind, place };
  return lastOrigin;
}

/** Written from an `Ip`, so it is in canonical form if it is an address at all. */
function asAddress(text: string): Ip {
  if (text.length > ADDRESS_MAX || !(text.includes(".") || text.includes(":"))) {
    throw new FrameError("address");
  }
  return text as Ip;
}

function decodeBody(fields: Fields, openBody: OpenBody): Body | undefined | "gone" {
  const how = fields.raw();
  const length = fields.raw();
  if (how === BODY.stored) return openBody({ length, hash: fields.text() }) ?? "gone";
  const at = fields.raw();
  if (how === BODY.none) return undefined;
  if (how !== BODY.inline) throw new FrameError("body");
  const { bodies } = fields;
  if (at + length > bodies.length) throw new FrameError("body length");
  return bodies.slice(at, at + length); // A copy, so that the frame can go.
}

/** Those that are there whole: an instance that lacks one is answered, and gets it later. */
function decodePayloads(fields: Fields, openBody: OpenBody): readonly Payload[] {
  const count = fields.raw();
  if (count > PAYLOADS_OF_RECORD_MAX) throw new FrameError("payloads");
  const payloads: Payload[] = [];
  for (let left = count; left > 0; left--) {
    const sha256 = fields.text();
    const bytes = fields.raw();
    if (!SHA256.test(sha256) || bytes > PAYLOAD_BYTES_MAX) throw new FrameError("payload");
    const hashes = Array.from({ length: partsOf(bytes) }, () => fields.text());
    // Many instances have the same: its files are looked for once a frame.
    const known = fields.payloads.get(sha256) ?? openPayload({ sha256, bytes, hashes }, openBody);
    fields.payloads.set(sha256, known);
    if (known !== "gone") payloads.push(known);
  }
  return payloads;
}

function openPayload(
  { sha256, bytes, hashes }: { sha256: string; bytes: number; hashes: readonly string[] },
  openBody: OpenBody,
): Payload | "gone" {
  const parts = hashes.flatMap((hash, part) => {
    return openBody({ length: partBytes(bytes, part), hash }) ?? [];
  });
  return parts.length === hashes.length ? { sha256, bytes, parts } : "gone";
}

function decodeWithhold(fields: Fields, end: number): Change {
  const network = fields.text();
  const address = fields.address();
  const epoch = fields.number();
  const mac = fields.optionalText() as Mac | undefined;
  const reason = fields.text();
  const since = fields.number();
  const note = fields.at < end ? fields.text() : undefined;
  if (!REASONS.has(reason)) return gone(network, address);
  const known = { network, address, reason: reason as WithholdReason, epoch, since };
  const withheld: Writable<Withheld> = known;
  if (mac !== undefined) withheld.mac = mac;
  if (note !== undefined) withheld.note = note;
  return { kind: "withhold", withheld };
}

function decodePassword(fields: Fields): Entry {
  const network = fields.text();
  const address = fields.address();
  const epoch = fields.number();
  const pending = fields.optionalText();
  const via = fields.optionalText();
  const former = fields.optionalText();
  const standing = fields.optionalText();
  const acknowledged: Acknowledged[] = [];
  const count = fields.raw();
  if (fields.at + count > fields.numbers.length) throw new FrameError("acknowledgements");
  for (let left = count; left > 0; left--) {
    acknowledged.push({ digest: fields.text(), at: fields.number(), stated: fields.raw() === 1 });
  }
  const record: Writable<PasswordEntry> = { network, address, epoch, acknowledged };
  if (pending !== undefined) record.pending = pending;
  if (via !== undefined) record.via = via;
  if (former !== undefined) record.former = former;
  if (standing !== undefined) record.standing = standing;
  return { kind: "password", record };
}
