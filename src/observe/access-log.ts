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
  /** The bridge that says so; absent where the guest has connected by itself. */
  readonly via?: string | undefined;
  /** Where something is known of the address. */
  readonly network: string | undefined;
  /** Absent where the address is nobody's, or withheld from whoever has it. */
  readonly instance: string | undefined;
  /** The instance's name, for people; not in the log. */
  readonly name?: string | undefined;
  /** What kind of thing was asked for, from a closed set. */
  readonly what: string;
  readonly status: number;
}

/** Guests in a loop must not fill a disk. Lines a second; the rest is counted. */
const LINES_PER_SECOND_MAX = 5000;

/** One guest in a loop must not silence the others. A boot takes 30 lines. Lines a second. */
const LINES_PER_INSTANCE_MAX = 100;

/** All strangers together, for they may change their address at will. Lines a second. */
const LINES_OF_UNKNOWN_MAX = 500;

/**
 * All addresses together that are known and withheld; each alone has what an instance has. Who may
 * be a liar shares nothing with instances, and who may be an instance nothing with strangers.
 */
const LINES_OF_WITHHELD_MAX = 1000;

export class AccessLog {
  readonly #sink: Sink;
  readonly #now: () => number;
  #second = 0;
  #lines = 0;
  #linesOfWithheld = 0;
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
      this.#linesOfWithheld = 0;
      this.#linesOf.clear();
    }
    if (!this.#hasRoomFor(access)) {
      this.#suppressed++;
      return;
    }
    const { network, instance, via } = access;
    const bridge = via === undefined ? "" : `,"via":${JSON.stringify(via)}`;
    const where = network === undefined ? "" : `,"network":${JSON.stringify(network)}`;
    const who = instance === undefined ? "" : `,"instance":${JSON.stringify(instance)}`;
    this.#sink.write(
      `{"level":30,"time":${time},"msg":"request","plane":"${access.plane}",` +
        `"address":${JSON.stringify(access.address)}${bridge}${where}${who},` +
        `"what":"${access.what}","status":${access.status}}\n`,
    );
  }

  /** Counts a line, where there is room for it in this second. */
  #hasRoomFor({ network, instance, address }: Access): boolean {
    if (this.#lines >= LINES_PER_SECOND_MAX) return false;
    const isWithheld = instance === undefined && network !== undefined;
    if (isWithheld && this.#linesOfWithheld >= LINES_OF_WITHHELD_MAX) return false;
    // No instance has such a name.
    const name = isWithheld ? `\0${network} ${address}` : instance;
    const lines = this.#linesOf.get(name) ?? 0;
    if (lines >= (name === undefined ? LINES_OF_UNKNOWN_MAX : LINES_PER_INSTANCE_MAX)) return false;
    this.#linesOf.set(name, lines + 1);
    this.#lines++;
    if (isWithheld) this.#linesOfWithheld++;
    return true;
  }
}
