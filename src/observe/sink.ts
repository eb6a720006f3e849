/**
 * Where log lines go: a file descriptor behind a bounded buffer.
 *
 * Writing never waits: a full disk or a slow pipe costs lines, which are counted, and no guest
 * ever notices.
 */

import { write, writeSync } from "node:fs";

/** Lines are written together after this, or sooner when a block is full. ms. */
const FLUSH_AFTER_MS = 50;
/** A block of this size is written at once. Characters. */
const BLOCK = 64 * 1024;
/** More than this is not kept for a slow reader. Characters. */
const PENDING_MAX = 4 * 1024 * 1024;

export interface Sink {
  /** Takes whole lines, newline included. */
  write(lines: string): void;
  /** Lines that were lost, since the start. */
  readonly dropped: number;
  /** Writes what is pending and waits for it: for the end of the program only. */
  flushSync(): void;
}

export class FileSink implements Sink {
  readonly #fd: number;
  #pending = "";
  #writing = "";
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  /** @param fd 1 is standard output */
  constructor(fd: number) {
    this.#fd = fd;
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(lines: string): void {
    if (this.#pending.length + lines.length > PENDING_MAX) {
      this.#dropped++;
      return;
    }
    this.#pending += lines;
    if (this.#pending.length >= BLOCK) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_AFTER_MS);
  }

  flushSync(): void {
    const all = this.#writing + this.#pending;
    this.#pending = "";
    this.#writing = "";
    clearTimeout(this.#timer);
    try {
      writeSync(this.#fd, all);
    } catch {
      this.#dropped++;
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing !== "" || this.#pending === "") return;
    this.#writing = this.#pending;
    this.#pending = "";
    const bytes = Buffer.from(this.#writing);
    write(this.#fd, bytes, 0, bytes.length, null, (error, written) => {
      const rest = this.#writing === "" ? "" : bytes.toString("utf8", error === null ? written : 0);
      this.#writing = "";
      if (error !== null && error.code !== "EAGAIN") this.#dropped++;
      else this.#pending = rest + this.#pending;
      if (this.#pending !== "") this.#timer ??= setTimeout(() => this.#flush(), FLUSH_AFTER_MS);
    });
  }
}
