/**
 * What a person or a program sees of a guest command: data on stdout, everything else on stderr.
 *
 * What a server sent is shown on a terminal only after `clean`: whoever answers must not move
 * somebody's cursor. Into a pipe it goes byte for byte, because there it is data.
 */

import { fstatSync, writeSync } from "node:fs";
import { clean, cleanLines } from "../model/clean.ts";

/** How long a reader who is behind is given before the next try. ms. */
const BEHIND_MS = 5;

/** The part of a stream that is used; tests pass their own. */
export interface Sink {
  write(data: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Console {
  readonly isTerminal: boolean;
  /** A line of data. It holds nothing from outside, or has been cleaned. */
  print(line: string): void;
  json(value: unknown): void;
  /** One JSON value a line. */
  jsonLine(value: unknown): void;
  /** What a server sent: exact into a pipe, harmless and ended by a newline on a terminal. */
  content(bytes: Uint8Array): void;
  /** A line for people, on stderr; it is cleaned. */
  note(line: string): void;
}

/**
 * This process's own two streams. They are written at once and to the end: making streams of them
 * costs a start-up more than all that is written.
 */
export function systemSinks(): { readonly stdout: Sink; readonly stderr: Sink } {
  return { stdout: sinkOf(1), stderr: sinkOf(2) };
}

function sinkOf(file: number): Sink {
  return {
    write(data) {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let at = 0; at < bytes.length; ) at += writeSome(file, bytes.subarray(at));
    },
    get isTTY() {
      // Only of what may be a terminal is it worth to ask further: that makes a stream of it.
      return mayBeTerminal(file) && (file === 1 ? process.stdout : process.stderr).isTTY === true;
    },
  };
}

function writeSome(file: number, bytes: Uint8Array): number {
  try {
    return writeSync(file, bytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A reader that has seen enough (`… | head`) is no failure of ours.
    if (code === "EPIPE") process.exit(0);
    if (code !== "EAGAIN") throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BEHIND_MS);
    return 0;
  }
}

/** /dev/null and its like, on Linux (Documentation/admin-guide/devices.txt). */
const MEMORY_DEVICES = 1;

function mayBeTerminal(file: number): boolean {
  try {
    const stat = fstatSync(file);
    const isMemory = process.platform === "linux" && stat.rdev >> 8 === MEMORY_DEVICES;
    return stat.isCharacterDevice() && !isMemory;
  } catch {
    return false; // Closed: what is written goes nowhere.
  }
}

export function openConsole(stdout: Sink, stderr: Sink): Console {
  const isTerminal = stdout.isTTY === true;
  return {
    isTerminal,
    print: (line) => void stdout.write(`${line}\n`),
    json: (value) => void stdout.write(`${ascii(JSON.stringify(value, undefined, 2))}\n`),
    jsonLine: (value) => void stdout.write(`${ascii(JSON.stringify(value))}\n`),
    content(bytes) {
      if (!isTerminal) stdout.write(bytes);
      else stdout.write(`${cleanLines(Buffer.from(bytes).toString("utf8")).replace(/\n$/, "")}\n`);
    },
    note: (line) => void stderr.write(`${clean(line)}\n`),
  };
}

/** JSON escapes C0 alone; C1 and formatting characters are escaped here, and mean the same. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\u009f\p{Cf}\u2028\u2029]/gu, (character) =>
    [...character]
      .flatMap((whole) => whole.split(""))
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
