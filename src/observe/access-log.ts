/**
 * One line for each request: who asked for what kind of thing, and what came of it.
 *
 * Every value is ours: the instance, a path class, an outcome. Nothing that the guest sent is in
 * it, so there is nothing to escape and nothing to leak.
 */

import type { Sink } from "./sink.ts";

export interface Access {
  readonly plane: "metadata" | "password";
  /** The peer's address, as the kernel reports it. */
  readonly address: string;
  readonly network: string | undefined;
  readonly instance: string | undefined;
  /** What kind of thing was asked for, from a closed set. */
  readonly what: string;
  readonly status: number;
}

/** Guests in a loop must not fill a disk. Lines a second; the rest is counted. */
const LINES_PER_SECOND_MAX = 5000;

/** One guest in a loop must not silence the others. A boot takes 30 lines. Lines a second. */
const LINES_PER_INSTANCE_MAX = 100;

/** All that are nobody's instance together, for they may change their address at will. */
const LINES_OF_UNKNOWN_MAX = 500;

export class AccessLog {
  readonly #sink: Sink;
  readonly #now: () => number;
  #second = 0;
  #lines = 0;
  /** Lines of this second; as many entries as lines at most. */
  readonly #linesOf = new Map<string | undefined, number>();
  #suppressed = 0;

  constructor(sink: Sink, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Lines that the limit kept back, since the start. */
  get suppressed(): number {
    return this.#suppressed;
  }

  record(access: Access): void {
    const time = this.#now();
    const second = Math.trunc(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
      this.#linesOf.clear();
    }
    const { instance } = access;
    const lines = this.#linesOf.get(instance) ?? 0;
    const linesMax = instance === undefined ? LINES_OF_UNKNOWN_MAX : LINES_PER_INSTANCE_MAX;
    if (lines >= linesMax || this.#lines >= LINES_PER_SECOND_MAX) {
      this.#suppressed++;
      return;
    }
    this.#lines++;
    this.#linesOf.set(instance, lines + 1);
    const who =
      instance === undefined
        ? ""
        : `,"network":${JSON.stringify(access.network)}` +
          `,"instance":${JSON.stringify(instance)}`;
    this.#sink.write(
      `{"level":30,"time":${time},"msg":"request","plane":"${access.plane}",` +
        `"address":${JSON.stringify(access.address)}${who},` +
        `"what":"${access.what}","status":${access.status}}\n`,
    );
  }
}
