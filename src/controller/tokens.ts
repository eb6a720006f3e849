/**
 * Bearer tokens of the operator API: a file with a line for each, `NAME ROLE sha256:HEX`.
 *
 * A token is 256 random bits, which nobody guesses, so one round of SHA-256 keeps it: a slow hash
 * is for what people choose. The file therefore tells no token to who reads it; it is 0600 because
 * who writes it decides who may do what.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { ConfigError, quote, UsageError } from "../model/errors.ts";
import { changeSecretFile, followSecretFile, readSecretFile } from "./secret-file.ts";

/** What a token may do; each may do what those before it may. */
export const ROLES = ["read", "write", "admin"] as const;
export type Role = (typeof ROLES)[number];

export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the token. */
  readonly hash: Buffer;
}

/** Who asks. */
export interface Bearer {
  readonly name: string;
  readonly role: Role;
}

/** Operators and their programs. Each request compares with all of them. */
export const TOKENS_MAX = 1000;

/** A thousand of the longest lines. Bytes. */
const FILE_BYTES_MAX = 256 * 1024;

/** Longer ones are none of ours, nor of anybody's; not worth hashing. Characters. */
const TOKEN_CHARS_MAX = 512;

/** 256 bits: see above. Bytes. */
const TOKEN_BYTES = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const LINE = /^(\S+) (read|write|admin) sha256:([0-9a-f]{64})$/;
const HEAD = "# Tokens of the operator API: NAME ROLE sha256:HEX. See frontdesk token --help.\n";

export function newToken(): string {
  return `fd_${randomBytes(TOKEN_BYTES).toString("base64url")}`;
}

export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** The one that has this token. Compares with all of them, whichever it is. */
export function bearerOf(entries: readonly TokenEntry[], token: string): Bearer | undefined {
  if (token.length > TOKEN_CHARS_MAX) return undefined;
  const hash = hashToken(token);
  let found: Bearer | undefined;
  for (const entry of entries) {
    if (timingSafeEqual(entry.hash, hash)) found ??= { name: entry.name, role: entry.role };
  }
  return found;
}

/**
 * @param file for messages
 * @throws {ConfigError} that names the first line that is wrong, and shows nothing of it.
 */
export function parseTokens(text: string, file: string): TokenEntry[] {
  const entries: TokenEntry[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const place = { file, line: index + 1 };
    const [, name = "", role, hex = ""] = LINE.exec(line.trimEnd()) ?? [];
    if (role === undefined || !NAME.test(name)) {
      throw new ConfigError("must be NAME ROLE sha256:HEX, as frontdesk token create makes", place);
    }
    if (entries.some((entry) => entry.name === name)) {
      throw new ConfigError(`the name ${name} is given twice`, place);
    }
    if (entries.length === TOKENS_MAX) {
      throw new ConfigError(`there are more than ${TOKENS_MAX} tokens`, place);
    }
    entries.push({ name, role: role as Role, hash: Buffer.from(hex, "hex") });
  }
  return entries;
}

/** One that is not there is empty. @throws {ConfigError | StateError} if it cannot be used. */
export async function readTokens(path: string): Promise<readonly TokenEntry[]> {
  return parseTokens((await readSecretFile(path, FILE_BYTES_MAX)) ?? "", path);
}

/**
 * Makes a token and keeps its hash.
 *
 * @returns the token, which nobody can read later
 * @throws {UsageError} if the name is not well formed or is taken.
 * @throws {ConfigError | StateError} if the file cannot be used.
 */
export async function createToken(path: string, { name, role }: Bearer): Promise<string> {
  if (!NAME.test(name)) {
    throw new UsageError(
      `not a name: ${quote(name)}; write letters, digits, dot, dash and underscore, 64 at most`,
    );
  }
  const token = newToken();
  await changeSecretFile(path, FILE_BYTES_MAX, (text) => {
    const entries = parseTokens(text, path);
    if (entries.some((entry) => entry.name === name)) {
      throw new UsageError(`there is a token ${name} already; remove it first`);
    }
    const line = `${name} ${role} sha256:${hashToken(token).toString("hex")}\n`;
    const before = text === "" ? HEAD : text;
    return `${before}${before.endsWith("\n") ? "" : "\n"}${line}`;
  });
  return token;
}

/**
 * @throws {UsageError} if there is no such token.
 * @throws {ConfigError | StateError} if the file cannot be used.
 */
export async function removeToken(path: string, name: string): Promise<void> {
  await changeSecretFile(path, FILE_BYTES_MAX, (text) => {
    const isIt = (line: string): boolean => LINE.exec(line.trimEnd())?.[1] === name;
    if (!parseTokens(text, path).some((entry) => entry.name === name)) {
      throw new UsageError(`there is no token ${quote(name)}; see frontdesk token list`);
    }
    return text
      .split("\n")
      .filter((line) => !isIt(line))
      .join("\n");
  });
}

/** The tokens that count now. */
export interface Tokens {
  /** Looks whether the file has changed first. Never rejects. */
  bearer(token: string): Promise<Bearer | undefined>;
}

export interface TokensOptions {
  readonly path: string;
  /** A token that is kept elsewhere, and has every role; `undefined` where there is none. */
  readonly own?: () => Promise<string | undefined>;
  /** Told when the file cannot be used, and with `undefined` when it can again. */
  readonly onTrouble: (message: string | undefined) => void;
}

/**
 * Opens the file of tokens. While it cannot be used, the last good ones stay in force; one that is
 * not there has none.
 *
 * @throws {ConfigError | StateError} if the file cannot be used now.
 */
export async function openTokens({ path, own, onTrouble }: TokensOptions): Promise<Tokens> {
  const current = await followSecretFile({ path, read: () => readTokens(path), onTrouble });
  return {
    bearer: async (token) => {
      const entries = await current();
      const mine = await own?.();
      const extra: readonly TokenEntry[] =
        mine === undefined ? [] : [{ name: "admin.env", role: "admin", hash: hashToken(mine) }];
      return bearerOf([...entries, ...extra], token);
    },
  };
}

/** Whether who has `role` may do what needs `needed`. */
export function mayDo(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
