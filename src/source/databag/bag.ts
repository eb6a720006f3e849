/**
 * One databag: a large JSON object, of which each reading says what has changed.
 *
 * The result is that of `JSON.parse` of the whole, of duplicate names the last. What is no JSON
 * object is refused whole, and then nothing has changed. Neither the file's bytes nor what was
 * parsed is kept, only what `accept` makes of each value, and its digest.
 */

import type { Slices } from "../slices.ts";
import { BagFlaw, type Found, type Member, MemberScan, type Raw } from "./members.ts";
import { CLOSE_BRACE, isSpace } from "./scan.ts";
import { type Readable, Stream } from "./stream.ts";

/** Deeper values are refused unparsed; CloudStack's have a depth of 2. */
export const DEPTH_MAX = 64;

/** The end of a file that is read first: a file that is being written has no brace there. Bytes. */
const END_BYTES = 64;

export interface BagChange<T> {
  readonly key: string;
  /** What the bag said before. */
  readonly before: Member<T> | undefined;
  /** What it says now, or `undefined` where the name is gone. */
  readonly after: Member<T> | undefined;
}

export interface Delta<T> {
  readonly changes: readonly BagChange<T>[];
  /** Makes them the bag's state. Synchronous. */
  commit(): void;
}

export interface Value {
  readonly key: string;
  readonly digest: string;
  /** JSON text: a view that is valid for this moment only. */
  readonly raw: Buffer;
  /** Why the value may not be parsed, as the end of a sentence, if so. */
  readonly refused: string | undefined;
}

/**
 * Makes what is kept of a value.
 *
 * @throws {SyntaxError} if the value is no JSON: then the whole file is none.
 */
export type Accept<T> = (value: Value) => T;

export class Bag<T> {
  readonly #accept: Accept<T>;
  #members: Member<T>[] = [];
  #byKey = new Map<string, Member<T>>();

  constructor(accept: Accept<T>) {
    this.#accept = accept;
  }

  /** How many names it has. */
  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Member<T> | undefined {
    return this.#byKey.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#byKey.keys();
  }

  /**
   * Reads a file, and says what differs from the state. The state stays as it is until `commit`.
   *
   * @throws {BagFlaw} if the file is no JSON object.
   * @throws {TornError} if it became shorter meanwhile.
   */
  async read(file: Readable, slices: Slices): Promise<Delta<T>> {
    await checkEnd(file);
    const stream = new Stream(file);
    const before = { members: this.#members, byKey: this.#byKey };
    const scan = new MemberScan<T>(before, stream, (raw, at) => this.#make(raw, at));
    for (const isShort of scan.run()) {
      if (isShort) await stream.fill();
      if (slices.due()) await slices.rest();
    }
    const isPlain = this.#isPlain(scan);
    const after = latest(isPlain ? scan.fresh : scan.found);
    const keys = new Set<string>();
    for (const { member } of scan.fresh) keys.add(member.key);
    for (const { key } of scan.gone) keys.add(key);
    const changes: BagChange<T>[] = [];
    for (const key of keys) {
      if (slices.due()) await slices.rest();
      const change = { key, before: this.#byKey.get(key), after: after.get(key) };
      if (change.before?.digest !== change.after?.digest) changes.push(change);
    }
    return { changes, commit: () => this.#commit(scan, isPlain) };
  }

  /** Looks at a value for the first time. */
  #make({ key, digest, raw, depth, isLong }: Raw, at: number): T {
    let refused: string | undefined;
    if (isLong) refused = "is longer than 4 MiB";
    else if (depth > DEPTH_MAX) refused = `is nested deeper than ${DEPTH_MAX}`;
    try {
      return this.#accept({ key, digest, raw, refused });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new BagFlaw("has a value that is no JSON", at);
    }
  }

  /** Whether no fresh member has the name of one that is still there. */
  #isPlain({ fresh, gone }: MemberScan<T>): boolean {
    if (this.#byKey.size !== this.#members.length) return false;
    const within = new Set(gone);
    return fresh.every(({ member }) => {
      const former = this.#byKey.get(member.key);
      return former === undefined || within.has(former);
    });
  }

  #commit({ found, fresh, gone }: MemberScan<T>, isPlain: boolean): void {
    this.#members = found.map(({ member }) => member);
    for (const { member, start } of found) member.start = start;
    for (const { key } of gone) this.#byKey.delete(key);
    for (const { member } of fresh) this.#byKey.set(member.key, member);
    if (!isPlain || this.#byKey.size !== this.#members.length) this.#byKey = latest(found);
  }
}

/** Members by name: of duplicates the last. */
function latest<T>(found: readonly Found<T>[]): Map<string, Member<T>> {
  const byKey = new Map<string, Member<T>>();
  for (const { member } of found) byKey.set(member.key, member);
  return byKey;
}

/** A file that is being written seldom ends as one that is complete: that is cheap to see. */
async function checkEnd(file: Readable): Promise<void> {
  const end = Buffer.alloc(Math.min(END_BYTES, file.size));
  await file.read(end, file.size - end.length);
  const last = end.findLastIndex((byte) => !isSpace(byte));
  if (last === -1 && end.length === file.size) throw new BagFlaw("is empty", 0);
  if (last !== -1 && end[last] !== CLOSE_BRACE) {
    throw new BagFlaw("is cut short, or is not a JSON object", file.size);
  }
}
