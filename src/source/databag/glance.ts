/**
 * Where each member of a large databag lies, found in milliseconds, so that whoever asks before the
 * first reading has ended need not wait for it.
 *
 * CloudStack's writer indents by two: a line that begins with two spaces and a quote begins a
 * member, because no JSON string holds a line break. Of another writer's file that is a guess only.
 * So nothing is believed until it is asked for: then the member is read, and counts if it parses
 * and has the expected name.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Slices } from "../slices.ts";
import { FLAGS, isFileError, readable } from "./disk.ts";
import { ADDRESSES_MAX, FILE_BYTES_MAX } from "./limits.ts";
import { digestOf, VALUE_BYTES_MAX } from "./members.ts";
import { CLOSE_BRACE, COMMA, isSpace } from "./scan.ts";
import { TornError } from "./stream.ts";

/** What is searched at once: a fraction of a millisecond. Bytes. */
const PIECE_BYTES = 1024 * 1024;

/** Pieces overlap by so much, so that a name on their border is seen whole. Bytes. */
const OVERLAP_BYTES = 256;

const LINE_START = Buffer.from('\n  "');

/** As CloudStack's files begin, an empty one too. Another writer's are read as a whole only. */
const BEGINNING = /^\{(?:\n {2}"|\s*\})/;

/** Addresses and "id"; with an escape it is none of them. */
const NAME = /^[^"\\]{1,64}$/;

export interface Glimpse {
  readonly value: unknown;
  /** Equal to the digest that a reading of the whole file gives the member. */
  readonly digest: string;
}

export class Glance {
  readonly #path: string;
  /** Where the member of each name begins: of duplicates the last. */
  readonly #starts: ReadonlyMap<string, number>;
  /** Where any member begins, and where the closing brace is. Ascending. */
  readonly #bounds: readonly number[];

  private constructor(path: string, starts: ReadonlyMap<string, number>, bounds: number[]) {
    this.#path = path;
    this.#starts = starts;
    this.#bounds = bounds;
  }

  /** @returns `undefined` where there is no file, or it is no finished one of CloudStack's. */
  static async at(path: string, slices: Slices): Promise<Glance | undefined> {
    try {
      const handle = await open(path, FLAGS);
      try {
        const info = await handle.stat();
        if (!info.isFile() || info.size > FILE_BYTES_MAX) return undefined;
        const { starts, bounds, isOurs } = await find(readable(handle, info.size), slices);
        return isOurs ? new Glance(path, starts, bounds) : undefined;
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (isFileError(error) || error instanceof TornError) return undefined;
      throw error; // Aborted, or a bug.
    }
  }

  has(name: string): boolean {
    return this.#starts.has(name);
  }

  /** How many members there are, whatever they are. */
  get size(): number {
    return this.#starts.size;
  }

  /**
   * Reads one member: some 10 µs for what lies in the page cache.
   *
   * @returns `undefined` if there is none of that name, or not where it was.
   */
  get(name: string): Glimpse | undefined {
    const start = this.#starts.get(name);
    if (start === undefined) return undefined;
    const end = this.#bounds[firstAbove(this.#bounds, start)] ?? start;
    if (end - start > VALUE_BYTES_MAX) return undefined;
    const bytes = readAt(this.#path, start, end);
    let length = bytes?.length ?? 0;
    while (length > 0 && isSeparator(bytes?.[length - 1])) length--;
    const member = bytes?.subarray(0, length);
    if (member === undefined || length === 0) return undefined;
    try {
      const parsed = Object.entries(JSON.parse(`{${member}}`) as object);
      const [only] = parsed;
      if (parsed.length !== 1 || only?.[0] !== name) return undefined;
      return { value: only[1], digest: digestOf(member) };
    } catch {
      return undefined;
    }
  }
}

async function find(
  file: { readonly size: number; read(into: Buffer, at: number): Promise<void> },
  slices: Slices,
): Promise<{ starts: Map<string, number>; bounds: number[]; isOurs: boolean }> {
  const starts = new Map<string, number>();
  const bounds: number[] = [];
  const piece = Buffer.allocUnsafeSlow(Math.min(file.size, PIECE_BYTES + OVERLAP_BYTES));
  let isOurs = false;
  for (let origin = 0; origin < file.size; origin += PIECE_BYTES) {
    if (slices.due()) await slices.rest();
    const bytes = piece.subarray(0, Math.min(piece.length, file.size - origin));
    await file.read(bytes, origin);
    let at = bytes.indexOf(LINE_START);
    for (; at !== -1 && at < PIECE_BYTES; at = bytes.indexOf(LINE_START, at + LINE_START.length)) {
      const nameAt = at + LINE_START.length;
      const nameEnd = bytes.indexOf('"', nameAt);
      const name = nameEnd === -1 ? "" : bytes.toString("latin1", nameAt, nameEnd);
      const start = origin + nameAt - 1;
      bounds.push(start);
      if (bounds.length > 2 * ADDRESSES_MAX) return { starts, bounds, isOurs: false };
      if (NAME.test(name)) starts.set(name, start);
    }
    if (origin === 0) isOurs = BEGINNING.test(bytes.toString("latin1", 0, OVERLAP_BYTES));
    if (origin + PIECE_BYTES < file.size) continue;
    const brace = lastMeant(bytes);
    bounds.push(origin + brace);
    isOurs &&= bytes[brace] === CLOSE_BRACE;
  }
  return { starts, bounds, isOurs };
}

function lastMeant(bytes: Buffer): number {
  let at = bytes.length - 1;
  while (at >= 0 && isSpace(bytes[at])) at--;
  return at;
}

/** What may stand between a member and the next, or the file's end. */
function isSeparator(byte: number | undefined): boolean {
  return byte === COMMA || isSpace(byte);
}

/** Place of the first number above `limit`. Binary search. */
function firstAbove(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function readAt(path: string, start: number, end: number): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, FLAGS);
    const bytes = Buffer.allocUnsafe(end - start);
    return readSync(file, bytes, 0, bytes.length, start) === bytes.length ? bytes : undefined;
  } catch (error) {
    if (isFileError(error)) return undefined;
    throw error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
