/**
 * Reads a sealed file back and says what became of it.
 *
 * A frame is made durable before the next is written, so a loss of power can spoil the last one
 * only: that is cut off. A bad frame with a good one behind it was spoilt afterwards, by other
 * means, and then nothing in the file can be relied on.
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { codeOf, reasonOf } from "./disk.ts";
import { FRAME_BYTES } from "./limits.ts";
import {
  type FileIdentity,
  FRAME_HEADER_BYTES,
  findFrame,
  HEADER_BYTES,
  hasHeader,
  Opener,
  readFrameHeader,
} from "./seal.ts";

export type Reading =
  /** Every frame up to the last, or up to the end of the file. */
  | { readonly outcome: "whole"; readonly number: number; readonly ended: boolean }
  /** The last write did not reach the disk; all before it was read. */
  | { readonly outcome: "torn"; readonly number: number }
  /** Not readable with this key, or spoilt in the middle. */
  | { readonly outcome: "damaged"; readonly why: string }
  | { readonly outcome: "absent" };

export interface ReadOptions {
  readonly path: string;
  readonly sealKey: Uint8Array;
  readonly identity: FileIdentity;
  /** May throw: then the file is damaged. */
  readonly onFrame: (content: Buffer) => void;
}

/** Blocking, because it runs before the program listens: that is a third faster. */
export function readSealed(options: ReadOptions): Reading {
  let fd: number;
  try {
    fd = openSync(options.path, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return { outcome: "absent" };
    return { outcome: "damaged", why: `it cannot be read (${reasonOf(error)})` };
  }
  try {
    return readFrames(fd, options);
  } catch (error) {
    return { outcome: "damaged", why: `it cannot be read (${reasonOf(error)})` };
  } finally {
    closeSync(fd);
  }
}

function readFrames(fd: number, { sealKey, identity, onFrame }: ReadOptions): Reading {
  const size = fstatSync(fd).size;
  const header = readAt(fd, 0, Math.min(size, HEADER_BYTES));
  if (!hasHeader(header)) return { outcome: "torn", number: 0 };
  const opener = Opener.open(sealKey, identity, header);
  if (opener === undefined) {
    return { outcome: "damaged", why: "it was not sealed with this key, for this place" };
  }
  const { number } = opener;
  const reader = new FrameReader(fd, size);
  let at = HEADER_BYTES;
  for (let index = 0; at < size; index++) {
    const frame = reader.read(at);
    const content = frame && opener.unseal(frame, index);
    if (frame === undefined || content === undefined) {
      if (!hasLaterFrame({ fd, opener, from: at + 1, index })) return { outcome: "torn", number };
      return { outcome: "damaged", why: `frame ${index} was changed` };
    }
    try {
      onFrame(content);
    } catch {
      return { outcome: "damaged", why: `frame ${index} cannot be understood` };
    }
    at += frame.length;
    if (readFrameHeader(frame)?.last) return { outcome: "whole", number, ended: true };
  }
  return { outcome: "whole", number, ended: false };
}

/** Reads frames into one buffer: what is given up frame by frame costs a collection each time. */
class FrameReader {
  readonly #fd: number;
  readonly #size: number;
  #buffer: Buffer;
  /** What of the file lies in the buffer. */
  #from = 0;
  #end = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(size, 4 * FRAME_BYTES));
  }

  /** Header, sealed content and tag, until the next call; `undefined` if not all of it is there. */
  read(at: number): Buffer | undefined {
    const header = readFrameHeader(this.#have(at, FRAME_HEADER_BYTES));
    if (header === undefined) return undefined;
    const length = FRAME_HEADER_BYTES + header.length;
    if (at + length > this.#size) return undefined;
    const frame = this.#have(at, length);
    return frame.length < length ? undefined : frame;
  }

  /** `length` bytes of the file; fewer at its end. */
  #have(at: number, length: number): Buffer {
    if (at < this.#from || at + length > this.#end) {
      if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(length);
      this.#from = at;
      this.#end = at + readSync(this.#fd, this.#buffer, 0, this.#buffer.length, at);
    }
    const start = at - this.#from;
    return this.#buffer.subarray(start, Math.min(start + length, this.#end - this.#from));
  }
}

/** Whether any frame behind the bad one opens. Rare, so it may read the rest at once. */
function hasLaterFrame(search: {
  fd: number;
  opener: Opener;
  from: number;
  index: number;
}): boolean {
  const { fd, opener, from, index } = search;
  const rest = readAt(fd, from, fstatSync(fd).size - from);
  for (let at = findFrame(rest, 0); at !== -1; at = findFrame(rest, at + 1)) {
    const header = readFrameHeader(rest, at);
    if (header === undefined || header.number <= index) continue;
    const frame = rest.subarray(at, at + FRAME_HEADER_BYTES + header.length);
    if (frame.length < FRAME_HEADER_BYTES + header.length) continue;
    if (opener.unseal(frame, header.number) !== undefined) return true;
  }
  return false;
}

/** Up to `length` bytes; fewer at the end of the file. */
function readAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, at + done);
    if (count === 0) break;
    done += count;
  }
  return done === length ? bytes : bytes.subarray(0, done);
}
