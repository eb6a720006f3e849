/**
 * A file that is read piece by piece, of which only what is being looked at is in memory.
 */

import type { Slices } from "../slices.ts";

/** A file that is open, or what stands for one. */
export interface Readable {
  readonly size: number;
  /**
   * Fills `into` with the bytes from `at` on.
   *
   * @throws {TornError} if there are fewer.
   */
  read(into: Buffer, at: number): Promise<void>;
}

/** The file became shorter while it was read. Never leaves this folder. */
export class TornError extends Error {}

/** What is read at once: some 50 µs of work, and few enough system calls. Bytes. */
export const CHUNK_BYTES = 256 * 1024;

export class Stream {
  /** The bytes in memory: the file's from `origin` on, `length` of them. */
  bytes: Buffer;
  origin = 0;
  length = 0;
  readonly #file: Readable;

  constructor(file: Readable) {
    this.#file = file;
    this.bytes = Buffer.allocUnsafeSlow(Math.min(2 * CHUNK_BYTES, Math.max(1, file.size)));
  }

  /** Whether there is more than what is in memory. */
  get hasMore(): boolean {
    return this.origin + this.length < this.#file.size;
  }

  /** Reads one more piece. */
  async fill(): Promise<void> {
    const count = Math.min(CHUNK_BYTES, this.#file.size - this.origin - this.length);
    if (this.length + count > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.length + count));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    const into = this.bytes.subarray(this.length, this.length + count);
    await this.#file.read(into, this.origin + this.length);
    this.length += count;
  }

  /** Forgets what lies before `at`, which is at 0 from then on. */
  drop(at: number): void {
    this.bytes.copyWithin(0, at, this.length);
    this.origin += at;
    this.length -= at;
  }
}

/** The lines, counting from 1, in which some bytes of a file stand. `offsets` are sorted. */
export async function linesAt(
  file: Readable,
  offsets: readonly number[],
  slices: Slices,
): Promise<number[]> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const lines: number[] = [];
  let line = 1;
  let at = 0;
  for (const offset of offsets) {
    while (at < offset) {
      if (slices.due()) await slices.rest();
      const part = chunk.subarray(0, Math.min(CHUNK_BYTES, offset - at));
      await file.read(part, at);
      for (let i = 0; i < part.length; i++) if (part[i] === 0x0a) line++;
      at += part.length;
    }
    lines.push(line);
  }
  return lines;
}
