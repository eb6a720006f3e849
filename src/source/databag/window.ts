/**
 * Finds which part of a file differs from the bytes that are known, without holding both.
 *
 * Chunks are compared as they are read, from the front and then from the back: what lies between
 * the two ends is the window. One changed entry in a file of 16 MB costs one reading of the file and
 * a window of the size of the entry.
 */

import type { Slices } from "../file/slices.ts";

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

/** How many bytes at the front and at the back of a file are as they were. */
export interface Unchanged {
  readonly front: number;
  readonly back: number;
}

/** Compares a file with `known`; `undefined` if they are equal. `front` and `back` do not overlap. */
export async function compare(
  known: Buffer,
  file: Readable,
  slices: Slices,
): Promise<Unchanged | undefined> {
  const shared = Math.min(known.length, file.size);
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, shared));
  let front = 0;
  while (front < shared) {
    if (slices.due()) await slices.rest();
    const part = chunk.subarray(0, Math.min(CHUNK_BYTES, shared - front));
    await file.read(part, front);
    const same = sameAtFront(part, known.subarray(front, front + part.length));
    front += same;
    if (same < part.length) break;
  }
  if (front === shared && known.length === file.size) return undefined;

  let back = 0;
  while (back < shared - front) {
    if (slices.due()) await slices.rest();
    const length = Math.min(CHUNK_BYTES, shared - front - back);
    const part = chunk.subarray(0, length);
    await file.read(part, file.size - back - length);
    const end = known.length - back;
    const same = sameAtBack(part, known.subarray(end - length, end));
    back += same;
    if (same < length) break;
  }
  return { front, back };
}

/** Fills `into` from a file, in chunks. */
export async function readInto(
  into: Buffer,
  { file, at, slices }: { file: Readable; at: number; slices: Slices },
): Promise<void> {
  for (let done = 0; done < into.length; done += CHUNK_BYTES) {
    if (slices.due()) await slices.rest();
    await file.read(into.subarray(done, done + CHUNK_BYTES), at + done);
  }
}

/** How many bytes of two buffers of one length are equal, from the front. */
function sameAtFront(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return a.length;
  let low = 0; // Equal up to here,
  let high = a.length; // and not up to here.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (a.compare(b, low, middle, low, middle) === 0) low = middle;
    else high = middle;
  }
  return low;
}

/** How many bytes of two buffers of one length are equal, from the back. */
function sameAtBack(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return a.length;
  let low = 0; // Not equal from here,
  let high = a.length; // but from here on.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (a.compare(b, middle, high, middle, high) === 0) high = middle;
    else low = middle;
  }
  return a.length - high;
}
