/**
 * User data as the APIs take it: CloudStack's rules about base64 and length. Pure.
 *
 * All limits are on the characters of base64, as CloudStack counts them. Base64 may be of either
 * alphabet, have white space, lack its padding, or be percent-encoded once more, as CloudStack
 * allows. What CloudStack would cut without a word is refused: text after the padding, and a last
 * letter that is no byte.
 */

import { UserDataError } from "../model/errors.ts";
import { USER_DATA_CHARS_MAX } from "../source/cloudstack/limits.ts";

/** How a request came: a line of a GET is cut by proxies and servers on its way. */
export type Method = "GET" | "POST";

/** Characters of base64 by default (CloudStack: `vm.userdata.max.length`). */
export const USER_DATA_CHARS_DEFAULT = 32_768;

/** Characters of base64 by method. CloudStack's numbers. */
const METHOD_CHARS_MAX: Readonly<Record<Method, number>> = {
  GET: 4096,
  POST: USER_DATA_CHARS_MAX,
};

const SPACE = /[ \t\r\n]+/g;
const LETTERS = /^[A-Za-z0-9+/_-]*(={0,2})$/;
const PERCENT = /^(?:[^%]|%[0-9A-Fa-f]{2})*$/;

export interface UserDataRules {
  readonly method: Method;
  /** The operator's limit, `userDataMax`. Characters of base64. */
  readonly charsMax: number;
}

/**
 * @returns the decoded bytes; `undefined` for an empty text, which stands for no user data
 * @throws {UserDataError} if it is not base64, is too long, or holds no byte. It shows none of it.
 */
export function decodeUserData(
  given: string,
  { method, charsMax }: UserDataRules,
): Uint8Array | undefined {
  if (given === "") return undefined;
  const isEncoded = given.includes("%");
  // What was encoded twice has three times the characters at most: not worth decoding beyond.
  if (isEncoded) checkLength(given.length / 3, METHOD_CHARS_MAX[method], method);
  const text = isEncoded ? percentDecoded(given) : given;
  checkLength(text.length, METHOD_CHARS_MAX[method], method);
  checkLength(text.length, charsMax);
  const letters = text.replace(SPACE, "");
  const padding = LETTERS.exec(letters)?.[1];
  const count = letters.length - (padding?.length ?? 0);
  if (padding === undefined || count % 4 === 1 || !fits(padding.length, count)) {
    throw new UserDataError("USER_DATA_NOT_BASE64", "user data is not base64");
  }
  if (count === 0) throw new UserDataError("USER_DATA_TOO_SHORT", "user data holds no byte");
  return new Uint8Array(Buffer.from(letters, "base64"));
}

/**
 * The same limits for bytes that come as they are: they count as the base64 that they would be.
 *
 * @throws {UserDataError} if they are too many.
 */
export function checkUserData(bytes: Uint8Array, charsMax: number): void {
  const chars = base64Chars(bytes.length);
  checkLength(chars, Math.min(charsMax, USER_DATA_CHARS_MAX));
}

/** Characters of base64 that so many bytes have, padding included. */
export function base64Chars(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/** Padding may lack, and where it is there it fills the last group. */
function fits(padding: number, count: number): boolean {
  return padding === 0 || (count + padding) % 4 === 0;
}

function checkLength(length: number, limit: number, method?: Method): void {
  if (length <= limit) return;
  const size = Math.ceil(length);
  const by = method === undefined ? "" : ` by ${method}`;
  const hint = method === "GET" ? "; send it by POST" : "";
  const message = `user data has ${size} characters of base64; the limit${by} is ${limit}${hint}`;
  throw new UserDataError("USER_DATA_TOO_LARGE", message, { size, limit });
}

/** A plus sign stays one: it is a letter of base64, not a space of a form. */
function percentDecoded(text: string): string {
  if (!PERCENT.test(text)) {
    throw new UserDataError("USER_DATA_NOT_BASE64", "user data is not base64");
  }
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number(`0x${hex}`)));
}
