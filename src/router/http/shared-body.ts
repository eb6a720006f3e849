/**
 * Large bodies on their way to guests: whoever asks for one while another has it shares it, and
 * all of them together take a bounded part of the memory.
 *
 * A guest that reads slowly, or not at all, holds its body until the connection ends. So bodies
 * have a budget, and who asks for one more than fits waits in line, without an answer yet. One
 * rule keeps the line moving: while others wait, a body has a turn, and when that is over its
 * readers are cut. Who holds nothing begins first, and who holds most is cut first.
 */

import type { Body } from "../../model/binding.ts";

/** All bodies that are held: a quarter of a small router's 256 MiB. Bytes. */
export const HELD_BYTES_MAX: number = 64 * 1024 * 1024;

/** Bodies that are read from the disk at a time: each is in memory twice for a moment. */
const READS_MAX = 4;

/** A body without a reader is kept this long, for the next of many that start together. ms. */
export const KEPT_MS = 2_000;

/** While others wait, a body takes in new readers this long; who comes later has its own. ms. */
const JOINED_MS = 2_000;

/** A turn: the whole budget goes out in it at 7 MB/s, a twentieth of a gigabit. ms a MiB. */
export const TURN_MS_PER_MIB = 10_000;

/** Bodies in line: a few hundred bytes each, and twice what 2,000 guests ask for at once. */
export const LINE_MAX = 4_096;

/** Requests of one guest that wait for one body. More are no client of ours that tries again. */
export const WAITING_PER_GUEST_MAX = 8;

/** How often it is looked who has got all, while others wait. ms. */
const LOOK_AGAIN_MS = 25;

const MIB = 1024 * 1024;

/** Shorter bodies are not worth it: the kernel takes them whole. Bytes. */
const LARGE_BYTES = 64 * 1024;

/** Whether a body is stored, or large enough to be shared. */
export function isShared(body: string | Body | undefined): body is Body {
  if (typeof body !== "object") return false;
  return !(body instanceof Uint8Array) || body.length > LARGE_BYTES;
}

/** A reply that waits for a body or sends one. */
export interface Reader {
  /** Whose: the peer's address. */
  readonly guest: string;
  /** Whether it is still on its way: asked now and then, until it is not. */
  isOpen(): boolean;
  /** Ends its connection, within seconds. */
  cut(): void;
}

interface Held<T> {
  readonly name: unknown;
  readonly length: number;
  readonly body: Promise<T | undefined>;
  /** By guest: whose turn it is not yet, or who have not got all yet. */
  readonly readers: Map<string, Reader[]>;
  state: "waiting" | "reading" | "read" | "cut";
  begunAt: number;
  /** When it was last asked for, or came from the disk. */
  usedAt: number;
  /** Lets the reading begin; `false` gives it up. */
  readonly start: (isWanted: boolean) => void;
}

export interface SharedBodiesOptions<T> {
  /** Makes of the bytes what the runtime sends to many without a copy. */
  readonly wrap: (bytes: Uint8Array) => T;
  /** @default HELD_BYTES_MAX */
  readonly bytesMax?: number;
  /** Milliseconds, by any clock. For tests, as is `later`. */
  readonly now?: () => number;
  /** Does something after so many milliseconds, unless what it returns is called before. */
  readonly later?: (delayMs: number, work: () => void) => () => void;
}

export class SharedBodies<T> {
  readonly #wrap: (bytes: Uint8Array) => T;
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #later: NonNullable<SharedBodiesOptions<T>["later"]>;
  /** What takes part of the budget, in the order in which it began. */
  readonly #held = new Set<Held<T>>();
  /** What waits for its part, in the order in which it was asked for. */
  readonly #line = new Set<Held<T>>();
  /** Of either, what one more reader may join. */
  readonly #joinable = new Map<unknown, Held<T>>();
  #bytes = 0;
  #reading = 0;
  #lookAt = Number.POSITIVE_INFINITY;
  #stopLooking = (): void => {};

  constructor({ wrap, bytesMax, now, later }: SharedBodiesOptions<T>) {
    this.#wrap = wrap;
    this.#bytesMax = bytesMax ?? HELD_BYTES_MAX;
    this.#now = now ?? (() => performance.now());
    this.#later = later ?? unhurried;
  }

  /** What is held now, read or being read. Bytes. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** How many bodies wait for room. */
  get waiting(): number {
    return this.#line.size;
  }

  /**
   * The body's content, when there is room for it; `undefined` when there is no place in line, or
   * the reader has gone before its turn.
   *
   * @throws what reading it threw, for everyone who waited for it.
   */
  get(body: Body, reader: Reader): Promise<T | undefined> {
    const name = body instanceof Uint8Array ? body : `${body.length} ${body.hash}`;
    let held = this.#joinable.get(name);
    if (held === undefined || this.#isLate(held)) {
      if (this.#line.size >= LINE_MAX) return Promise.resolve(undefined);
      held = this.#queue(name, body);
    }
    if (!join(held, reader)) return Promise.resolve(undefined);
    held.usedAt = this.#now();
    if (held.state === "waiting" && this.#line.size === 1) this.#advance();
    return held.body;
  }

  /** Who comes late would prolong the turn of a body while others wait for theirs. */
  #isLate({ state, begunAt }: Held<T>): boolean {
    if (state === "cut") return true;
    return state !== "waiting" && this.#line.size > 0 && this.#now() - begunAt > JOINED_MS;
  }

  #queue(name: unknown, body: Body): Held<T> {
    let start: Held<T>["start"] = () => {};
    const turn = new Promise<boolean>((resolve) => {
      start = resolve;
    });
    const read = async (): Promise<T | undefined> => {
      if (!(await turn)) return undefined;
      return this.#wrap(body instanceof Uint8Array ? body : await body.read());
    };
    const { length } = body;
    const held: Held<T> = {
      ...{ name, length, body: read(), readers: new Map(), start },
      ...{ state: "waiting", begunAt: 0, usedAt: 0 },
    };
    const done = (): void => {
      if (held.state !== "reading") return; // It was given up.
      this.#reading--;
      held.state = "read";
      held.usedAt = this.#now();
      this.#advance();
    };
    held.body.then(done, () => {
      this.#drop(held); // The next who asks tries again.
      done();
    });
    this.#joinable.set(name, held);
    this.#line.add(held);
    return held;
  }

  /** Lets those begin whose turn it is, and looks again later while there is something to do. */
  #advance(): void {
    while (this.#line.size > 0 && this.#reading < READS_MAX) {
      const next = this.#next();
      if (!this.#isRoomFor(next.length)) this.#sweep(0);
      if (!this.#isRoomFor(next.length)) {
        this.#cutOverdue();
        break;
      }
      this.#line.delete(next);
      if (someOpen(next)) this.#begin(next);
      else {
        this.#forget(next); // They gave up.
        next.start(false);
      }
    }
    if (this.#line.size > 0) this.#lookIn(LOOK_AGAIN_MS);
    else if (this.#held.size > 0) this.#lookIn(KEPT_MS);
  }

  #lookIn(delayMs: number): void {
    const at = this.#now() + delayMs;
    if (this.#lookAt <= at) return;
    this.#stopLooking();
    this.#lookAt = at;
    this.#stopLooking = this.#later(delayMs, () => {
      this.#lookAt = Number.POSITIVE_INFINITY;
      this.#sweep(KEPT_MS);
      this.#advance();
    });
  }

  /** The first in line of whom somebody holds nothing yet; else the first. */
  #next(): Held<T> {
    const holders = this.#holdings();
    const [first] = this.#line;
    for (const waiting of this.#line) {
      for (const guest of waiting.readers.keys()) if (!holders.has(guest)) return waiting;
    }
    return first as Held<T>;
  }

  /** What each guest holds. Bytes. */
  #holdings(): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const { length, readers } of this.#held) {
      for (const guest of readers.keys()) bytes.set(guest, (bytes.get(guest) ?? 0) + length);
    }
    return bytes;
  }

  #begin(held: Held<T>): void {
    held.state = "reading";
    held.begunAt = this.#now();
    this.#held.add(held);
    this.#reading++;
    this.#bytes += held.length;
    held.start(true);
  }

  /** One body larger than all the room is sent alone. */
  #isRoomFor(length: number): boolean {
    return this.#bytes === 0 || this.#bytes + length <= this.#bytesMax;
  }

  /** Cuts the readers of bodies whose turn is over: as many as those in line have need of. */
  #cutOverdue(): void {
    const now = this.#now();
    const isOverdue = ({ state, usedAt, length }: Held<T>): boolean =>
      state === "read" && now - usedAt >= TURN_MS_PER_MIB * Math.max(1, length / MIB);
    const overdue = [...this.#held].filter(isOverdue);
    if (overdue.length === 0) return;
    let missing = this.#bytes - this.#bytesMax;
    for (const waiting of this.#line) if (someOpen(waiting)) missing += waiting.length;
    for (const { state, length } of this.#held) if (state === "cut") missing -= length;
    const holdings = this.#holdings();
    const most = ({ readers }: Held<T>): number => {
      let bytes = 0;
      for (const guest of readers.keys()) bytes = Math.max(bytes, holdings.get(guest) ?? 0);
      return bytes;
    };
    for (const held of overdue.sort((a, b) => most(b) - most(a))) {
      if (missing <= 0) return;
      missing -= held.length;
      held.state = "cut"; // It takes room until its connections have ended.
      for (const readers of held.readers.values()) for (const reader of readers) reader.cut();
    }
  }

  /** Lets go of what nobody reads, and nobody asked for in the last `keptMs`. */
  #sweep(keptMs: number): void {
    const keptSince = this.#now() - keptMs;
    for (const held of this.#held) {
      if (held.state !== "read" && held.state !== "cut") continue;
      if (!someOpen(held) && held.usedAt <= keptSince) this.#drop(held);
    }
  }

  #drop(held: Held<T>): void {
    this.#forget(held);
    if (this.#held.delete(held)) this.#bytes -= held.length;
  }

  #forget(held: Held<T>): void {
    if (this.#joinable.get(held.name) === held) this.#joinable.delete(held.name);
  }
}

/** Whether there is place for one more. */
function join<T>({ state, readers }: Held<T>, reader: Reader): boolean {
  let own = readers.get(reader.guest) ?? [];
  if (state === "waiting" && own.length >= WAITING_PER_GUEST_MAX) {
    own = own.filter((other) => other.isOpen());
    if (own.length >= WAITING_PER_GUEST_MAX) return false;
  }
  own.push(reader);
  readers.set(reader.guest, own);
  return true;
}

function someOpen<T>({ readers }: Held<T>): boolean {
  for (const [guest, own] of readers) {
    const open = own.filter((reader) => reader.isOpen());
    if (open.length > 0) readers.set(guest, open);
    else readers.delete(guest);
  }
  return readers.size > 0;
}

function unhurried(delayMs: number, work: () => void): () => void {
  const timer = setTimeout(work, delayMs).unref();
  return () => clearTimeout(timer);
}
