/**
 * Sealed files: a header and numbered frames, AES-256-GCM.
 *
 * Each file has a key of its own, derived (HKDF) from the seal key, the file's random id, its kind
 * and its label. The nonce is the frame's number, and a file is written once, from its beginning,
 * by one writer: so no nonce repeats under a key. A frame that was changed, moved within the file,
 * or taken from another file does not open.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { FORMAT, FRAME_BYTES_MAX } from "./limits.ts";

export type FileKind = "journal" | "snapshot" | "body";

/** What a file is, beside its content. All of it takes part in the key. */
export interface FileIdentity {
  readonly kind: FileKind;
  /** Realm, and for a body its name: a file does not open in another's place. */
  readonly label: string;
}

/** File header: magic, version, kind, number, file id, check, end mark. Bytes. */
export const HEADER_BYTES = 64;
/** Frame header: magic, number, length, flags. Bytes. */
export const FRAME_HEADER_BYTES = 16;
export const TAG_BYTES = 16;

const FILE_MAGIC = Buffer.from("FRONTDSK");
const FRAME_MAGIC = 0x4644_6631; // "FDf1"
const FLAG_LAST = 1;
const KIND_CODES: Readonly<Record<FileKind, number>> = { journal: 1, snapshot: 2, body: 3 };
const CHECKED_BYTES = 48;
/** The header's last bytes: without them it was never written to its end. */
const END_MARK = Buffer.from("FDok");
const END_MARK_AT = HEADER_BYTES - END_MARK.length;

interface Keys {
  readonly frames: Buffer;
  readonly header: Buffer;
}

/** A key for a purpose, so that no key is used for two things. */
export function deriveKey(sealKey: Uint8Array, purpose: string, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", sealKey, salt, `frontdesk ${purpose}`, 32));
}

function keysOf(sealKey: Uint8Array, identity: FileIdentity, fileId: Uint8Array): Keys {
  const purpose = `${identity.kind} ${identity.label}`;
  return {
    frames: deriveKey(sealKey, `frames of ${purpose}`, fileId),
    header: deriveKey(sealKey, `header of ${purpose}`, fileId),
  };
}

/** Seals one file from its beginning to its end. */
export class Sealer {
  readonly header: Buffer;
  readonly #keys: Keys;
  readonly #bound: Bound;
  #frames = 0;
  #buffer = Buffer.alloc(0);

  /** @param number a journal's generation; a snapshot's first journal */
  constructor(sealKey: Uint8Array, identity: FileIdentity, number: number) {
    const fileId = randomBytes(16);
    this.#keys = keysOf(sealKey, identity, fileId);
    this.header = Buffer.alloc(HEADER_BYTES);
    FILE_MAGIC.copy(this.header, 0);
    this.header.writeUInt16LE(FORMAT, 8);
    this.header.writeUInt16LE(KIND_CODES[identity.kind], 10);
    this.header.writeBigUInt64LE(BigInt(number), 16);
    fileId.copy(this.header, 24);
    checkOf(this.header, this.#keys).copy(this.header, CHECKED_BYTES);
    END_MARK.copy(this.header, END_MARK_AT);
    this.#bound = new Bound(this.header);
  }

  /**
   * The next frame, as it goes to the disk, until the next call: its memory is used again.
   *
   * @param last says that the file is whole with it
   */
  seal(content: Uint8Array, last = false): Buffer {
    if (content.length + TAG_BYTES > FRAME_BYTES_MAX) throw new RangeError("frame too long");
    const length = FRAME_HEADER_BYTES + content.length + TAG_BYTES;
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(length + (length >> 2));
    const frame = this.#buffer.subarray(0, length);
    frame.writeUInt32LE(FRAME_MAGIC, 0);
    frame.writeUInt32LE(this.#frames, 4);
    frame.writeUInt32LE(content.length + TAG_BYTES, 8);
    frame.writeUInt32LE(last ? FLAG_LAST : 0, 12);
    const cipher = createCipheriv("aes-256-gcm", this.#keys.frames, nonce(this.#frames));
    cipher.setAAD(this.#bound.to(frame));
    cipher.update(content).copy(frame, FRAME_HEADER_BYTES);
    cipher.final();
    cipher.getAuthTag().copy(frame, FRAME_HEADER_BYTES + content.length);
    this.#frames++;
    return frame;
  }
}

/** What the header of a frame says, before anything is proven. */
export interface FrameHeader {
  readonly number: number;
  /** Of the sealed content and its tag. */
  readonly length: number;
  readonly last: boolean;
}

/** `undefined` if there is no frame header, or one that cannot be. */
export function readFrameHeader(bytes: Buffer, offset = 0): FrameHeader | undefined {
  if (bytes.length < offset + FRAME_HEADER_BYTES) return undefined;
  if (bytes.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
  const length = bytes.readUInt32LE(offset + 8);
  if (length < TAG_BYTES || length > FRAME_BYTES_MAX) return undefined;
  const last = (bytes.readUInt32LE(offset + 12) & FLAG_LAST) !== 0;
  return { number: bytes.readUInt32LE(offset + 4), length, last };
}

/** Opens the frames of one file. */
export class Opener {
  /** What the writer gave as `number`. */
  readonly number: number;
  readonly #keys: Keys;
  readonly #bound: Bound;

  private constructor(header: Buffer, keys: Keys) {
    this.number = Number(header.readBigUInt64LE(16));
    this.#keys = keys;
    this.#bound = new Bound(header);
  }

  /** `undefined` if the header is not one of this kind, label, key and a format that we read. */
  static open(sealKey: Uint8Array, identity: FileIdentity, header: Uint8Array): Opener | undefined {
    const bytes = Buffer.from(header);
    if (bytes.length !== HEADER_BYTES) return undefined;
    if (!bytes.subarray(0, FILE_MAGIC.length).equals(FILE_MAGIC)) return undefined;
    if (!isReadable(bytes.readUInt16LE(8))) return undefined;
    if (bytes.readUInt16LE(10) !== KIND_CODES[identity.kind]) return undefined;
    const keys = keysOf(sealKey, identity, bytes.subarray(24, 40));
    if (!timingSafeEqual(checkOf(bytes, keys), bytes.subarray(CHECKED_BYTES, END_MARK_AT)))
      return undefined;
    return new Opener(bytes, keys);
  }

  /**
   * The content of a frame, or `undefined` if it is not the frame `number` of this file.
   *
   * @param frame header, sealed content and tag
   */
  unseal(frame: Buffer, number: number): Buffer | undefined {
    const tagAt = frame.length - TAG_BYTES;
    const decipher = createDecipheriv("aes-256-gcm", this.#keys.frames, nonce(number), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(this.#bound.to(frame));
    decipher.setAuthTag(frame.subarray(tagAt));
    const content = decipher.update(frame.subarray(FRAME_HEADER_BYTES, tagAt));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return content;
  }
}

/** Whether a file has a header that was written to its end, be it one of ours or not. */
export function hasHeader(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && bytes.subarray(END_MARK_AT, HEADER_BYTES).equals(END_MARK);
}

/** Whether a reader of this format reads files of that one: one older, one newer. */
export function isReadable(format: number): boolean {
  return Math.abs(format - FORMAT) <= 1;
}

/** Where the next frame header may begin in `bytes`, from `offset` on; -1 if nowhere. */
export function findFrame(bytes: Buffer, offset: number): number {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(FRAME_MAGIC, 0);
  return bytes.indexOf(magic, offset);
}

function nonce(frame: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(frame, 8);
  return bytes;
}

/** What a frame is bound to: the file's header and its own. One buffer for all frames of a file. */
class Bound {
  readonly #bytes = Buffer.alloc(HEADER_BYTES + FRAME_HEADER_BYTES);

  constructor(header: Buffer) {
    header.copy(this.#bytes);
  }

  to(frame: Buffer): Buffer {
    frame.copy(this.#bytes, HEADER_BYTES, 0, FRAME_HEADER_BYTES);
    return this.#bytes;
  }
}

/** Proves the header and the key before a frame is read: a wrong key is no torn file. */
function checkOf(header: Buffer, keys: Keys): Buffer {
  const hmac = createHmac("sha256", keys.header).update(header.subarray(0, CHECKED_BYTES));
  return hmac.digest().subarray(0, END_MARK_AT - CHECKED_BYTES);
}
