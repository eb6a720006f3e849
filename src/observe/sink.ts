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
  #isWriting = false;
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
      this.#dropped += countLines(lines);
      return;
    }
    this.#pending += lines;
    if (this.#pending.length >= BLOCK) this.#flush();
    else this.#schedule();
  }

  flushSync(): void {
    clearTimeout(this.#timer);
    const lines = this.#pending;
    this.#pending = "";
    try {
      writeSync(this.#fd, lines);
    } catch {
      this.#dropped += countLines(lines);
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_AFTER_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting || this.#pending === "") return;
    const bytes = Buffer.from(this.#pending);
    this.#pending = "";
    this.#writeOut(bytes);
  }

  #writeOut(bytes: Buffer): void {
    this.#isWriting = true;
    write(this.#fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === "EAGAIN") {
        // A pipe whose reader is behind: what does not fit in the buffer meanwhile is lost.
        setTimeout(() => this.#writeOut(bytes), FLUSH_AFTER_MS);
        return;
      }
      if (error === null && written < bytes.length) {
        this.#writeOut(bytes.subarray(written));
        return;
      }
      if (error !== null) this.#dropped += countLines(bytes.toString());
      this.#isWriting = false;
      if (this.#pending !== "") this.#schedule();
    });
  }
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
