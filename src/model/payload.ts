/**
 * Payloads: what a guest may fetch beside its user data, when that is too small for it.
 *
 * A payload is bytes, named by their SHA-256: whoever has the name can prove the content, and the
 * same content is kept once. It lies and travels in parts, so that nothing that answers a guest
 * holds more of it than of user data.
 */

import type { Body, StoredBody } from "./binding.ts";

/** A payload as a record names it. */
export interface PayloadRef {
  /** Of the content: 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A payload whose content can be had, part by part. */
export interface Payload extends PayloadRef {
  /** Each of `PART_BYTES` but the last, which has the rest. */
  readonly parts: readonly Body[];
}

/**
 * What a guest does with it: it runs a script; it unpacks an archive and runs `run` in it; a file
 * it puts where it is told to.
 */
export const PAYLOAD_KINDS = ["script", "tar", "tar.gz", "file"] as const;
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

/** A payload as a store lists it. */
export interface StoredPayload extends PayloadRef {
  readonly kind: PayloadKind;
}

/** One part: the most that user data has, so that what carries that carries a part. Bytes. */
export const PART_BYTES: number = 1024 * 1024;

/** One payload: an agent's package or a few hundred scripts. More belongs on a server. Bytes. */
export const PAYLOAD_BYTES_MAX: number = 16 * 1024 * 1024;

/** Payloads that one record names. Each is a script of some sort: more is a package's matter. */
export const PAYLOADS_OF_RECORD_MAX = 8;

export const SHA256: RegExp = /^[0-9a-f]{64}$/;

/** How many parts so many bytes make. */
export function partsOf(bytes: number): number {
  return Math.ceil(bytes / PART_BYTES);
}

/** How many bytes a part has, by its number from 0. */
export function partBytes(bytes: number, part: number): number {
  return Math.min(PART_BYTES, bytes - part * PART_BYTES);
}

/** The parts of a content, without a copy. */
export function cutIntoParts(content: Uint8Array): Uint8Array[] {
  return Array.from({ length: partsOf(content.length) }, (_, part) =>
    content.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  );
}

/** Whether the content of what a record names is at hand. */
export function isAtHand(named: PayloadRef | Payload): named is Payload {
  return "parts" in named;
}

/** Whether none of it lies in memory. */
export function isStored(
  payload: Payload,
): payload is Payload & { readonly parts: readonly StoredBody[] } {
  return payload.parts.every((part) => !(part instanceof Uint8Array));
}
