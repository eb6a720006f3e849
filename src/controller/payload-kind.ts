/**
 * What a guest can do with a payload, seen from its bytes alone.
 *
 * An archive is read to its end before it is kept: a guest must not be the first to find out that
 * it is damaged, or has nothing to run. What it unpacks to is bounded, and never all in memory.
 */

import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { PayloadKind } from "../model/payload.ts";

/** What an archive may unpack to: 16 MiB of program text does not, a trap does. Bytes. */
const UNPACKED_BYTES_MAX: number = 512 * 1024 * 1024;

const BLOCK_BYTES = 512;

/** Members whose content describes the next one: long names, extended fields. */
const NOT_FILES = new Set(["x", "g", "L", "K"]);

export interface Seen {
  readonly kind: PayloadKind;
  /** Why it is a file and nothing else. */
  readonly reason?: string;
}

export async function kindOf(content: Uint8Array): Promise<Seen> {
  if (content[0] === 0x23 && content[1] === 0x21) return { kind: "script" };
  if (content[0] === 0x1f && content[1] === 0x8b) return seen("tar.gz", await unpacked(content));
  const archive = new Archive();
  archive.push(content);
  return seen("tar", archive.fault("it begins with no #! and is no archive"));
}

function seen(kind: PayloadKind, fault: string | undefined): Seen {
  return fault === undefined ? { kind } : { kind: "file", reason: fault };
}

/** What is wrong with a compressed archive. */
async function unpacked(content: Uint8Array): Promise<string | undefined> {
  const archive = new Archive();
  let bytes = 0;
  try {
    for await (const chunk of Readable.from([content]).pipe(createGunzip())) {
      bytes += (chunk as Buffer).length;
      if (bytes > UNPACKED_BYTES_MAX) return `it unpacks to more than ${UNPACKED_BYTES_MAX} bytes`;
      archive.push(chunk as Buffer);
    }
  } catch {
    return "it is compressed, and damaged";
  }
  return archive.fault("it is compressed, and no tar archive");
}

/** Reads the headers of a tar archive as it comes in pieces. */
class Archive {
  #header = Buffer.alloc(0);
  /** Bytes of a member that are still to come. */
  #skip = 0;
  #members = 0;
  #hasRun = false;
  #isEnded = false;
  #isDamaged = false;

  /** @param none what is said of what does not even begin as one */
  fault(none: string): string | undefined {
    if (this.#isDamaged || this.#skip > 0 || this.#header.length > 0) {
      return this.#members === 0 ? none : "it is an archive, and damaged";
    }
    if (this.#members === 0) return "it is an empty archive";
    return this.#hasRun ? undefined : "it is an archive without a file named run at its top";
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isEnded && !this.#isDamaged; ) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#header.length);
      if (part.length === 0) continue;
      at += part.length;
      this.#header = Buffer.concat([this.#header, part]);
      if (this.#header.length === BLOCK_BYTES) this.#read();
    }
  }

  #read(): void {
    const header = this.#header;
    this.#header = Buffer.alloc(0);
    if (header.every((byte) => byte === 0)) this.#isEnded = true;
    else if (!isHeader(header)) this.#isDamaged = true;
    else {
      this.#members++;
      const size = sizeIn(header);
      const type = String.fromCharCode(header[156] ?? 0);
      const isFile = type === "0" || type === "\0" || type === "7";
      this.#skip = isFile || NOT_FILES.has(type) ? Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES : 0;
      if (isFile && nameIn(header) === "run") this.#hasRun = true;
    }
  }
}

/** POSIX.1-1988, and all that came after it: the sum of its bytes stands in each header. */
function isHeader(header: Buffer): boolean {
  let sum = 8 * 0x20;
  for (const [at, byte] of header.entries()) if (at < 148 || at >= 156) sum += byte;
  return sum === octal(header, 148, 156);
}

/** Octal, or a number of base 256 where the first bit says so. */
function sizeIn(header: Buffer): number {
  if ((header[124] ?? 0) < 0x80) return octal(header, 124, 136);
  return Number(header.readBigUInt64BE(128));
}

function nameIn(header: Buffer): string {
  const text = (from: number, to: number): string =>
    header.toString("latin1", from, to).split("\0", 1)[0] ?? "";
  const isUstar = header.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? text(345, 500) : "";
  const name = prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  return name.replace(/^(\.\/)+/, "");
}

function octal(header: Buffer, from: number, to: number): number {
  const digits = header.toString("latin1", from, to).replace(/[\0 ]/g, "");
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : 0;
}
