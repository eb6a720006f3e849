/**
 * What a store keeps of a payload beside its content, and what may be kept at all. Pure.
 */

import { createHash } from "node:crypto";
import { RecordError, StoreError } from "../model/errors.ts";
import {
  cutIntoParts,
  PAYLOAD_BYTES_MAX,
  type PayloadKind,
  type PayloadRef,
  type StoredPayload,
} from "../model/payload.ts";
import type { InstanceRecord, RecordName } from "../model/record.ts";
import { contentHash } from "../protocol/etag.ts";
import { label } from "./decide.ts";
import { PAYLOADS_BYTES_MAX, PAYLOADS_MAX } from "./limits.ts";

/** A payload, and the hash of each of its parts, by which a router knows what it has already. */
export interface PayloadHead extends StoredPayload {
  readonly hashes: readonly string[];
}

/** @throws {RecordError} if it is empty or too large. */
export function payloadHead(content: Uint8Array, kind: PayloadKind): PayloadHead {
  const bytes = content.length;
  if (bytes === 0) throw new RecordError("payload", "is empty");
  if (bytes > PAYLOAD_BYTES_MAX) {
    throw new RecordError("payload", `has ${bytes} bytes; the limit is ${PAYLOAD_BYTES_MAX}`);
  }
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { sha256, bytes, kind, hashes: cutIntoParts(content).map(contentHash) };
}

/** @throws {StoreError} if there is no room for so many more bytes. */
export function checkRoom(
  held: { readonly count: number; readonly bytes: number },
  more: number,
): void {
  if (held.count < PAYLOADS_MAX && held.bytes + more <= PAYLOADS_BYTES_MAX) return;
  const what = `there are ${held.count} payloads of ${held.bytes} bytes`;
  const limit = `the limits are ${PAYLOADS_MAX} and ${PAYLOADS_BYTES_MAX}`;
  throw new StoreError("STORE_PAYLOADS_FULL", `${what}, and ${limit}; remove one that is not used`);
}

/** @throws {StoreError} if a record names what is not there. */
export function checkNamed(
  { payloads = [] }: InstanceRecord,
  find: (sha256: string) => PayloadRef | undefined,
): void {
  for (const { sha256, bytes } of payloads) {
    const found = find(sha256);
    if (found === undefined) {
      throw new StoreError("STORE_PAYLOAD_UNKNOWN", `there is no payload ${sha256}`);
    }
    if (found.bytes === bytes) continue;
    const message = `the payload ${sha256} has ${found.bytes} bytes, not ${bytes}`;
    throw new StoreError("STORE_PAYLOAD_UNKNOWN", message);
  }
}

/** What a store says of a payload. */
export function listed({ sha256, bytes, kind }: StoredPayload): StoredPayload {
  return { sha256, bytes, kind };
}

export function byName(a: StoredPayload, b: StoredPayload): number {
  return a.sha256 < b.sha256 ? -1 : 1;
}

export function payloadInUse(sha256: string, user: RecordName): StoreError {
  const message = `the payload ${sha256} is given to ${label(user)}`;
  return new StoreError("STORE_PAYLOAD_IN_USE", message);
}
