/**
 * Who sent a request: whoever holds the secret key of the API key that it names.
 *
 * As CloudStack checks it. Wrong keys, a wrong signature and one that has expired are refused in
 * the same words, and an unknown API key takes as long as a known one.
 */

import { randomBytes, timingSafeEqual } from "node:crypto";
import type { ClientApiError } from "../../model/errors.ts";
import { sign } from "../../source/cloudstack/sign.ts";
import { refuse } from "./errors.ts";

/** API keys, each with its secret key. */
export type SecretKeys = Pick<ReadonlyMap<string, string>, "get">;

/** Of no key: what is signed with it is refused. */
const NOBODY = randomBytes(64).toString("base64url");

/**
 * @param params by their names as they were sent, because these are signed
 * @returns the API key
 * @throws {ClientApiError} 401
 */
export function verify(
  params: ReadonlyMap<string, string>,
  secretKeys: SecretKeys,
  now: number,
): string {
  const by = new Map([...params].map(([name, value]) => [name.toLowerCase(), value]));
  const apiKey = by.get("apikey") ?? "";
  const secretKey = secretKeys.get(apiKey);
  const signed = Object.fromEntries(
    [...params].filter(([name]) => name.toLowerCase() !== "signature"),
  );
  const right = Buffer.from(sign(signed, secretKey ?? NOBODY));
  const given = Buffer.from(by.get("signature") ?? "");
  const isRight = given.length === right.length && timingSafeEqual(given, right);
  if (!isRight || secretKey === undefined || secretKey === "") throw unauthorized();
  const expires = by.get("expires");
  if (by.get("signatureversion") === "3" && expires === undefined) throw unauthorized();
  if (expires !== undefined && !(momentOf(expires) > now)) throw unauthorized();
  return apiKey;
}

export function unauthorized(): ClientApiError {
  return refuse("unauthorized", "unable to verify user credentials and/or request signature");
}

const MOMENT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$/;

/** `2026-11-22T12:00:00+0000`, also with a colon or `Z`. NaN where it is none. */
function momentOf(text: string): number {
  const [, moment, zone = ""] = MOMENT.exec(text) ?? [];
  if (moment === undefined) return Number.NaN;
  return Date.parse(`${moment}${zone.replace(/(\d\d):?(\d\d)$/, "$1:$2")}`);
}
