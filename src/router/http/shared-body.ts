/**
 * Large bodies on their way to guests: whoever asks for one while another has it shares it, and
 * all of them together take a bounded part of the memory.
 *
 * A guest that reads slowly, or not at all, holds its body until the connection ends. So bodies
 * have a budget, and who asks for one more than fits waits in line, without an answer yet. Waiting
 * costs a few hundred bytes; clients try again, and then find themselves in the same place.
 */

import type { Body } from "../../model/binding.ts";

/** All bodies that are held: a quarter of a small router's 256 MiB. Bytes. */
export const HELD_BYTES_MAX: number = 64 * 1024 * 1024;

/** Bodies that are read from the disk at a time: each is in memory twice for a moment. */
const READS_MAX = 4;

/** A body without a reader is kept this long, for the next of many that start together. ms. */
export const KEPT_MS = 2_000;

/** How often it is looked who has got all, while others wait. ms. */
const LOOK_AGAIN_MS = 25;

/** Shorter bodies are not worth it: the kernel takes them whole. Bytes. */
const LARGE_BYTES = 64 * 1024;

/** Whether a body is stored, or large enough to be shared. */
export function isShared(body: string | Body | undefined): body is Body {
  if (typeof body !== "object") return false;
  return !(body instanceof Uint8Array) || body.length > LARGE_BYTES;
}

/** Whether the reply is still on its way: asked now and then, until it is not. */
export type IsOpen = () => boolean;

interface Held<T> {
  readonly length: number;
  readonly body: Promise<T>;
  /** Whose turn it is not yet, or who have not got all yet. */
  readers: IsOpen[];
  state: "waiting" | "reading" | "read";
  usedAt: number;
  /** Lets the reading begin; `false` gives it up. */
  readonly start: (isWanted: boolean) => void;
}

export interface SharedBodiesOptions<T> {
  /** Makes of the bytes what the runtime sends to many without a copy. */
  readonly wrap: (bytes: Uint8Array) => T;
  /** @default HELD_BYTES_MAX */
  readonly bytesMax?: number;
}

export class SharedBodies<T> {
  readonly #wrap: (bytes: Uint8Array) => T;
  readonly #bytesMax: number;
  /** In the order in which they were first asked for. */
  readonly #held = new Map<unknown, Held<T>>();
  #bytes = 0;
  #waiting = 0;
  #reading = 0;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = 0;

  constructor({ wrap, bytesMax = HELD_BYTES_MAX }: SharedBodiesOptions<T>) {
    this.#wrap = wrap;
    this.#bytesMax = bytesMax;
  }

  /** What is held now, read or being read. Bytes. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /**
   * The body's content, when there is room for it.
   *
   * @throws what reading it threw, for everyone who waited for it.
   */
  get(body: Body, isOpen: IsOpen): Promise<T> {
    const name = body instanceof Uint8Array ? body : `${body.length} ${body.hash}`;
    const held = this.#held.get(name) ?? this.#queue(name, body);
    held.readers.push(isOpen);
    held.usedAt = performance.now();
    this.#advance();
    return held.body;
  }

  #queue(name: unknown, body: Body): Held<T> {
    let start: Held<T>["start"] = () => {};
    const turn = new Promise<boolean>((resolve) => {
      start = resolve;
    });
    const read = async (): Promise<T> => {
      if (!(await turn)) throw new Error("nobody waits for it any more");
      return this.#wrap(body instanceof Uint8Array ? body : await body.read());
    };
    const held: Held<T> = {
      ...{ length: body.length, body: read(), readers: [], state: "waiting", usedAt: 0, start },
    };
    const done = (): void => {
      if (held.state === "reading") this.#reading--;
      held.state = "read";
      this.#advance();
    };
    held.body.then(done, () => {
      this.#drop(name, held); // The next who asks tries again.
      done();
    });
    this.#held.set(name, held);
    this.#waiting++;
    return held;
  }

  /** Lets those begin whose turn it is, and looks again later while there is something to do. */
  #advance(): void {
    if (this.#waiting > 0) {
      for (const [name, held] of this.#held) {
        if (this.#reading >= READS_MAX) break;
        if (held.state !== "waiting") continue;
        if (!this.#isRoomFor(held.length)) this.#sweep(0);
        if (!this.#isRoomFor(held.length)) break; // First come, first served.
        this.#waiting--;
        if (someOpen(held)) this.#begin(held);
        else {
          this.#held.delete(name); // They gave up.
          held.start(false);
        }
      }
    }
    if (this.#held.size > 0) this.#lookIn(this.#waiting > 0 ? LOOK_AGAIN_MS : KEPT_MS);
  }

  #lookIn(delayMs: number): void {
    if (this.#timer !== undefined && this.#delayMs <= delayMs) return;
    clearTimeout(this.#timer);
    this.#delayMs = delayMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sweep(KEPT_MS);
      this.#advance();
    }, delayMs).unref();
  }

  #begin(held: Held<T>): void {
    held.state = "reading";
    this.#reading++;
    this.#bytes += held.length;
    held.start(true);
  }

  /** One body larger than all the room is sent alone. */
  #isRoomFor(length: number): boolean {
    return this.#bytes === 0 || this.#bytes + length <= this.#bytesMax;
  }

  /** Lets go of what nobody reads, and nobody asked for in the last `keptMs`. */
  #sweep(keptMs: number): void {
    const keptSince = performance.now() - keptMs;
    for (const [name, held] of this.#held) {
      if (held.state !== "read") continue;
      if (!someOpen(held) && held.usedAt <= keptSince) this.#drop(name, held);
    }
  }

  #drop(name: unknown, held: Held<T>): void {
    if (this.#held.get(name) !== held) return;
    this.#held.delete(name);
    this.#bytes -= held.length;
  }
}

function someOpen<T>(held: Held<T>): boolean {
  held.readers = held.readers.filter((isOpen) => isOpen());
  return held.readers.length > 0;
}
