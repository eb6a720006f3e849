/**
 * The token that lets the router's own command hand passwords in: a secret in a file, read again
 * whenever the file changes.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { ConfigError } from "../model/errors.ts";

/** Shorter ones can be guessed. CloudStack's has 32. Characters. */
const TOKEN_CHARACTERS_MIN = 16;
/** Longer files are something else. Bytes. */
const TOKEN_BYTES_MAX = 1024;

/** Answers the token that counts now; `undefined` if there is none, so that nobody has it. */
export type ReadToken = () => string | undefined;

/**
 * @param path `undefined` if no file was named: then there is no token
 * @throws {ConfigError} if the file is there and holds no token that can be used. A file that is
 *   missing or empty may come later.
 */
export function tokenFile(path: string | undefined): ReadToken {
  if (path === undefined) return () => undefined;
  const first = read(path);
  const length = first?.length ?? 0;
  if (length > 0 && !isUsable(first)) {
    const problem =
      length < TOKEN_CHARACTERS_MIN
        ? `the token is too short (${length}); use ${TOKEN_CHARACTERS_MIN} characters or more`
        : `the token is too long; use ${TOKEN_BYTES_MAX} characters at most`;
    throw new ConfigError(problem, { file: path });
  }
  let seen = stampOf(path);
  let token = first;
  return () => {
    const stamp = stampOf(path);
    if (stamp !== seen) {
      seen = stamp;
      token = read(path);
    }
    return isUsable(token) ? token : undefined;
  };
}

/** Compares without telling by its duration how much was right. */
export function isSameToken(token: string, given: string): boolean {
  return timingSafeEqual(digest(token), digest(given));
}

function isUsable(token: string | undefined): token is string {
  const length = token?.length ?? 0;
  return length >= TOKEN_CHARACTERS_MIN && length <= TOKEN_BYTES_MAX;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // Not there, or not ours to read: nobody has the token.
  }
}

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "absent";
  }
}
