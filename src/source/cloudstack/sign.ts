/**
 * CloudStack's request signature, version 3: what is sent is what was signed, and for how long it
 * is good.
 *
 * Names are sorted as they are, so all ours begin in lower case. The server signs the values as
 * Java's URLEncoder writes them, with `%20` for a space.
 */

import { createHmac } from "node:crypto";

export type Params = Readonly<Record<string, string>>;

/** The keys of one CloudStack user. Never in an error, a log line or a metric. */
export interface Credentials {
  readonly apiKey: string;
  readonly secretKey: string;
}

/** The query, or the form, that asks `command`, signed. @param expires milliseconds since 1970 */
export function signedQuery(
  command: string,
  params: Params,
  credentials: Credentials,
  expires: number,
): string {
  const all: Params = {
    ...params,
    command,
    response: "json",
    apiKey: credentials.apiKey,
    signatureVersion: "3",
    expires: timestamp(expires),
  };
  const signature = sign(all, credentials.secretKey);
  return [...pairs(all), `signature=${encode(signature)}`].join("&");
}

/** The signature as base64, not yet encoded for a URL. */
export function sign(params: Params, secretKey: string): string {
  return createHmac("sha1", secretKey).update(stringToSign(params)).digest("base64");
}

export function stringToSign(params: Params): string {
  return pairs(params).join("&").toLowerCase();
}

/** As Java's URLEncoder, but for the space: `A-Za-z0-9.-*_` stay, the rest is escaped. */
export function encode(value: string): string {
  // A half of a surrogate pair has no encoding; what Node.js writes for it, the server reads.
  const whole = Buffer.from(value, "utf8").toString("utf8");
  return encodeURIComponent(whole).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `2026-11-22T12:00:00+0000` */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "+0000");
}

function pairs(params: Params): string[] {
  // Not by locale: the server compares code units.
  const names = Object.keys(params).sort((a, b) => (a < b ? -1 : 1));
  return names.map((name) => `${name}=${encode(params[name] ?? "")}`);
}
