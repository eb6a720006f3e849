/**
 * Validators: strong hashes of content, equal after a restart and on every router.
 */

import * as crypto from "node:crypto";

/** 22 characters of base64url are 132 bits: no two bodies meet by chance or by design. */
const HASH_CHARACTERS = 22;

/** If-None-Match longer than this is not compared: the client gets the body. Bytes. */
const IF_NONE_MATCH_MAX = 4096;

/** Strong hash of a content: SHA-256, base64url, cut to 22 characters. */
export function contentHash(content: string | Uint8Array): string {
  // One-shot hashing is three times as fast, and Node 18 does not have it.
  const digest =
    crypto.hash === undefined
      ? crypto.createHash("sha256").update(content).digest("base64url")
      : crypto.hash("sha256", content, "base64url");
  return digest.slice(0, HASH_CHARACTERS);
}

/** Texts whose validators are kept: most keys of most instances have values that others have. */
const TEXTS_MAX = 16_384;

/** Longer texts are seldom equal, and hashing them is not what costs. Characters. */
const TEXT_LENGTH_MAX = 256;

const known = new Map<string, string>();

/** Validator of a short text, quoted. A boot asks for a dozen, and to hash one takes 2 µs. */
export function textEtag(text: string): string {
  const former = known.get(text);
  if (former !== undefined) return former;
  const etag = `"${contentHash(text)}"`;
  if (text.length > TEXT_LENGTH_MAX) return etag;
  if (known.size >= TEXTS_MAX) known.clear();
  known.set(text, etag);
  return etag;
}

/**
 * Whether an `If-None-Match` header names `etag`, so that 304 is the answer.
 *
 * Weak comparison, as RFC 9110 section 13.1.2 asks; `*` matches whatever exists.
 *
 * @param etag quoted, as on the wire
 */
export function noneMatch(header: string, etag: string): boolean {
  if (header.length > IF_NONE_MATCH_MAX) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((part) => part.trim().replace(/^W\//, "") === etag);
}
