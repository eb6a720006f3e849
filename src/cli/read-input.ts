/**
 * A file that a command is given, or standard input.
 */

import { readFileSync } from "node:fs";
import { CommandError } from "../model/errors.ts";

/** User data is 1 MiB at most, in base64, in JSON: more than any program takes. Bytes. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EISDIR: "is a folder",
};

/**
 * @param file `-` is standard input
 * @throws {CommandError} if it is not there, cannot be read, or is too long.
 */
export function readInput(file: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === "-" ? 0 : file);
  } catch (cause) {
    throw new CommandError(whyUnread(cause), { file }, { cause });
  }
  if (bytes.length <= FILE_BYTES_MAX) return bytes;
  throw new CommandError(`longer than ${FILE_BYTES_MAX} bytes`, { file });
}

/** What to say of a file that an operator named. */
export function whyUnread(error: unknown): string {
  return REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? "cannot be read";
}
