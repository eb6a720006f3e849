/**
 * One databag: a large JSON object whose bytes are kept, so that the next reading costs what changed.
 *
 * The result is that of `JSON.parse` of the whole, of duplicate names the last. What is no JSON
 * object is refused whole, and then nothing has changed. No copy of what was parsed is kept, only
 * what `accept` makes of each value.
 */

import type { Slices } from "../file/slices.ts";
import { BagFlaw, type Member, MemberScan, type WindowPlace } from "./members.ts";
import { CLOSE_BRACE, isSpace } from "./scan.ts";
import { CHUNK_BYTES, compare, type Readable, readInto, type Unchanged } from "./window.ts";

/** Deeper values are refused unparsed; CloudStack's have a depth of 2. */
export const DEPTH_MAX = 64;

/** Longer values are refused unparsed: 1 MiB of user data as base64, thrice. Bytes. */
export const VALUE_BYTES_MAX = 4 * 1024 * 1024;

/** The end of a file that is read first: a file that is being written has no brace there. Bytes. */
const END_BYTES = 64;

/** Room for growth, so that a longer entry moves bytes instead of copying them. */
const SLACK_BYTES_MIN = 64 * 1024;

/** How many bytes are looked through for line ends between two looks at the clock. */
const LINE_SCAN_BYTES = 1024 * 1024;

/** A value of the bag: its JSON text, and what was made of it. The bytes are a view, not a copy. */
export interface Slot<T> {
  readonly raw: Buffer;
  readonly data: T;
}

export interface BagChange<T> {
  readonly key: string;
  /** What the bag said before; its bytes are valid until `commit`. */
  readonly before: Slot<T> | undefined;
  /** What it says now, or `undefined` where the name is gone. */
  readonly after: Slot<T> | undefined;
}

export interface Delta<T> {
  readonly changes: readonly BagChange<T>[];
  /** Makes them the bag's state. Synchronous. */
  commit(): void;
}

export interface Value {
  readonly key: string;
  readonly raw: Buffer;
  /** Why the value may not be parsed, if so. */
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
  #store: Buffer = Buffer.alloc(0);
  #bytes: Buffer = this.#store;
  #members: Member<T>[] = [];
  #byKey = new Map<string, Member<T>>();

  constructor(accept: Accept<T>) {
    this.#accept = accept;
  }

  /** How many names it has. */
  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Slot<T> | undefined {
    const member = this.#byKey.get(key);
    return member === undefined ? undefined : slot(member, this.#bytes, 0);
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
  async read(file: Readable, slices: Slices): Promise<Delta<T> | undefined> {
    await checkEnd(file);
    const unchanged = await compare(this.#bytes, file, slices);
    if (unchanged === undefined) return undefined;
    const place = this.#place(unchanged, file.size);
    const window = await this.#window(file, { unchanged, place, slices });
    const bytes = this.#bytes;
    const before = { bytes, members: this.#members, byKey: this.#byKey };
    const scan = new MemberScan(before, place, window, slices);
    await scan.run();
    return this.#delta(scan, place, slices);
  }

  /** The lines, counting from 1, in which the values of some names begin. */
  async lines(keys: readonly string[], slices: Slices): Promise<ReadonlyMap<string, number>> {
    const members = keys
      .map((key) => this.#byKey.get(key))
      .filter((member) => member !== undefined)
      .sort((a, b) => a.value - b.value);
    const lines = new Map<string, number>();
    let line = 1;
    let at = 0;
    for (const { key, value } of members) {
      line += await countLineEnds(this.#bytes.subarray(at, value), slices);
      at = value;
      lines.set(key, line);
    }
    return lines;
  }

  /** Widens what differs to whole members. */
  #place({ front, back }: Unchanged, size: number): WindowPlace {
    const { length } = this.#bytes;
    // A number goes on as long as digits follow, so the byte behind a member must be unchanged too.
    const first = lowest(this.#members, ({ end }) => end >= front);
    const tail = lowest(this.#members, ({ start }) => start >= length - back);
    return { first, tail: Math.max(first, tail), shift: size - length };
  }

  async #window(
    file: Readable,
    from: { unchanged: Unchanged; place: WindowPlace; slices: Slices },
  ): Promise<Buffer> {
    const { front, back } = from.unchanged;
    const { first, tail, shift } = from.place;
    const origin = first === 0 ? 0 : (this.#members[first - 1]?.end ?? 0);
    const end = (this.#members[tail]?.start ?? this.#bytes.length) + shift;
    const isWhole = origin === 0 && tail === this.#members.length;
    const window = isWhole ? roomy(file.size) : Buffer.allocUnsafeSlow(end - origin);
    this.#bytes.copy(window, 0, origin, front);
    const changed = window.subarray(front - origin, file.size - back - origin);
    await readInto(changed, { file, at: front, slices: from.slices });
    this.#bytes.copy(window, file.size - back - origin, file.size - back - shift, end - shift);
    return window;
  }

  async #delta(scan: MemberScan<T>, place: WindowPlace, slices: Slices): Promise<Delta<T>> {
    const { found, origin, tail, window } = scan;
    const gone = this.#members.slice(place.first, tail);
    for (const member of found) {
      if (slices.due()) await slices.rest();
      if (member.unread) this.#look(member, scan);
    }
    const after = this.#after(scan, place, gone);
    const slotOf = (member: Member<T> | undefined): Slot<T> | undefined => {
      if (member === undefined) return undefined;
      return member.fresh ? slot(member, window, origin) : slot(member, this.#bytes, 0);
    };
    const changes: BagChange<T>[] = [];
    for (const key of new Set([...found, ...gone].map((member) => member.key))) {
      if (slices.due()) await slices.rest();
      const former = this.#byKey.get(key);
      const latest = after(key);
      if (latest === former || (former !== undefined && latest?.twin === former)) continue;
      const change = { key, before: slotOf(former), after: slotOf(latest) };
      if (change.after !== undefined && change.before?.raw.equals(change.after.raw)) continue;
      changes.push(change);
    }
    return { changes, commit: () => this.#commit(scan, place, gone) };
  }

  /** Says which member has a name, once the changes are in force: of duplicates the last. */
  #after(
    { found, tail }: MemberScan<T>,
    place: WindowPlace,
    gone: readonly Member<T>[],
  ): (key: string) => Member<T> | undefined {
    const latest = new Map(found.map((member) => [member.key, member]));
    const within = new Set(gone);
    const isPlain =
      this.#byKey.size === this.#members.length &&
      found.every(({ key }) => {
        const former = this.#byKey.get(key);
        return former === undefined || within.has(former);
      });
    if (isPlain) return (key) => latest.get(key);
    const all = [...this.#members.slice(0, place.first), ...found, ...this.#members.slice(tail)];
    const byKey = new Map(all.map((member) => [member.key, member]));
    return (key) => byKey.get(key);
  }

  /** Looks at a value for the first time. */
  #look(member: Member<T>, { window, origin }: MemberScan<T>): void {
    const { key, value, end, depth } = member;
    const raw = window.subarray(value - origin, end - origin);
    const former = this.#byKey.get(key);
    member.unread = false;
    if (former !== undefined && slot(former, this.#bytes, 0).raw.equals(raw)) {
      member.data = former.data;
      return;
    }
    let refused: string | undefined;
    if (raw.length > VALUE_BYTES_MAX) refused = `is longer than ${VALUE_BYTES_MAX} bytes`;
    else if (depth > DEPTH_MAX) refused = `is nested deeper than ${DEPTH_MAX}`;
    try {
      member.data = this.#accept({ key, raw, refused });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new BagFlaw("has a value that is no JSON", value);
    }
  }

  #commit(scan: MemberScan<T>, place: WindowPlace, gone: readonly Member<T>[]): void {
    const { found, tail } = scan;
    const moved = this.#members.slice(tail);
    this.#replaceBytes(scan, place);
    for (const member of moved) {
      member.start += place.shift;
      member.value += place.shift;
      member.end += place.shift;
    }
    for (const member of found) {
      member.fresh = false;
      member.twin = undefined;
    }
    const kept = this.#members.slice(0, place.first);
    const isPlain = this.#byKey.size === this.#members.length;
    this.#members = [...kept, ...found, ...moved];
    for (const { key } of gone) this.#byKey.delete(key);
    for (const member of found) this.#byKey.set(member.key, member);
    if (isPlain && this.#byKey.size === this.#members.length) return;
    this.#byKey = new Map(this.#members.map((member) => [member.key, member]));
  }

  #replaceBytes({ window, origin, tail }: MemberScan<T>, { shift }: WindowPlace): void {
    const { length } = this.#bytes;
    const end = this.#members[tail]?.start ?? length;
    const size = length + shift;
    if (origin === 0 && end === length) {
      this.#store = Buffer.from(window.buffer); // With the room behind it.
    } else if (this.#store.length >= size) {
      this.#store.copyWithin(end + shift, end, length);
      window.copy(this.#store, origin);
    } else {
      const store = roomy(size);
      this.#bytes.copy(store, 0, 0, origin);
      window.copy(store, origin, 0, end + shift - origin);
      this.#bytes.copy(store, end + shift, end, length);
      this.#store = Buffer.from(store.buffer);
    }
    this.#bytes = this.#store.subarray(0, size);
  }
}

function slot<T>({ value, end, data }: Member<T>, bytes: Buffer, origin: number): Slot<T> {
  return { raw: bytes.subarray(value - origin, end - origin), data: data as T };
}

/** A buffer of its own, which can grow. */
function roomy(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size + Math.max(SLACK_BYTES_MIN, size >> 4)).subarray(0, size);
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

/** The line, counting from 1, in which a byte of a file stands. */
export async function lineAt(file: Readable, at: number, slices: Slices): Promise<number> {
  const part = Buffer.allocUnsafeSlow(Math.min(at, CHUNK_BYTES));
  let line = 1;
  for (let done = 0; done < at; done += CHUNK_BYTES) {
    const chunk = part.subarray(0, at - done);
    await file.read(chunk, done);
    line += await countLineEnds(chunk, slices);
  }
  return line;
}

async function countLineEnds(bytes: Buffer, slices: Slices): Promise<number> {
  let count = 0;
  for (let at = 0; at < bytes.length; at += LINE_SCAN_BYTES) {
    if (slices.due()) await slices.rest();
    const part = bytes.subarray(at, at + LINE_SCAN_BYTES);
    for (let i = 0; i < part.length; i++) if (part[i] === 0x0a) count++;
  }
  return count;
}

/** The first index for which `holds`, which holds from there on; the length if for none. */
function lowest<M>(sorted: readonly M[], holds: (item: M) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle] as M)) high = middle;
    else low = middle + 1;
  }
  return low;
}
