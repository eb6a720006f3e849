/**
 * What a write means, whatever store it is written to. Pure: the stores differ only in where they
 * keep things.
 */

import type { Ip } from "../model/address.ts";
import type { StoredBody } from "../model/binding.ts";
import { RecordError, StoreConflictError, StoreError } from "../model/errors.ts";
import type { Acknowledgement, RecordChange } from "../model/feed.ts";
import {
  addressesOf,
  equal,
  type InstanceRecord,
  type RecordName,
  type StoredRecord,
} from "../model/record.ts";
import { COUNT_MAX } from "../model/record-limits.ts";
import { contentHash } from "../protocol/etag.ts";
import { ACKNOWLEDGED_MAX, PAGE_RECORDS_MAX } from "./limits.ts";

/** A record as a store keeps it. */
export interface Held {
  readonly record: InstanceRecord;
  /** Of its last change. */
  readonly revision: number;
  /** Of its last change but those that concern its password alone. */
  readonly contentRevision: number;
  /** Ids of passwords that were acknowledged, the last one last. */
  readonly acknowledged: readonly string[];
}

/** The record as others see it. */
export function stored({ record, revision }: Held): StoredRecord {
  return { record, revision };
}

/** What has become of a record for a follower who knows what was before. */
export function changeOf(held: Held, known: number): RecordChange {
  if (held.contentRevision > known) return { kind: "put", ...stored(held) };
  const { network, id, epoch, password } = held.record;
  return { kind: "secret", network, id, revision: held.revision, epoch, password };
}

/** NUL stands in no id, and before every character: so keys sort as (network, id). */
export function keyOf({ network, id }: RecordName): string {
  return `${network}\0${id}`;
}

/** Whether user data that a record refers to is what is kept of it. */
export function isSameBody(
  kept: InstanceRecord["userData"],
  given: StoredBody,
): kept is StoredBody {
  return kept !== undefined && "hash" in kept && kept.hash === given.hash;
}

/** Records of a page, where so many are asked for. */
export function pageSize(limit: number = PAGE_RECORDS_MAX): number {
  return Math.max(1, Math.min(limit, PAGE_RECORDS_MAX));
}

/** What a put does to a store. */
export interface Decision {
  readonly record: InstanceRecord;
  /** Addresses that the record has now, and had not. */
  readonly gained: readonly Ip[];
  readonly lost: readonly Ip[];
  /** False if only the password is another. */
  readonly isContent: boolean;
  /** No binding that has ended, of any address, had an epoch above this. */
  readonly epochFloor: number;
}

/** @throws {StoreConflictError} if the revision is not the one expected. */
export function checkRevision(
  name: RecordName,
  actual: number,
  { expect }: { readonly expect?: number },
): void {
  if (expect === undefined || expect === actual) return;
  throw new StoreConflictError(label(name), { expected: expect, actual });
}

/** For messages: `instance i-1 of network 204`. */
export function label({ network, id }: RecordName): string {
  return `instance ${id} of network ${network}`;
}

export function addressTaken(record: InstanceRecord, address: Ip, holder: string): StoreError {
  return new StoreError(
    "STORE_ADDRESS_TAKEN",
    `${address} of ${label(record)} is with instance ${holder}; take it away from there first`,
  );
}

/**
 * @returns `undefined` if the store holds that already
 * @throws {RecordError} if no epoch is left.
 */
export function decidePut(
  held: Held | undefined,
  given: InstanceRecord,
  epochFloor: number,
): Decision | undefined {
  const before = held === undefined ? [] : addressesOf(held.record);
  const after = addressesOf(given);
  const gained = after.filter((address) => !before.includes(address));
  const lost = before.filter((address) => !after.includes(address));
  const epochMin = Math.max(held?.record.epoch ?? 0, given.epoch);
  // A record without addresses begins an epoch too: what is delivered later refers to it.
  const isNew = held === undefined || gained.length > 0;
  const epoch = isNew ? Math.max(epochMin, epochFloor + 1) : epochMin;
  if (epoch > COUNT_MAX) throw new RecordError("epoch", `there is none above ${COUNT_MAX}`);
  const record = withoutAcknowledged({ ...given, epoch }, held?.acknowledged ?? []);
  const isContent = held === undefined || !equal(bare(record), bare(held.record), contentHash);
  if (!isContent && equal(record, held.record, contentHash)) return undefined;
  const floor = lost.length === 0 ? epochFloor : Math.max(epochFloor, held?.record.epoch ?? 0);
  return { record, gained, lost, isContent, epochFloor: floor };
}

/** Whether an acknowledgement takes the password away, or did so before. */
export function decideAck(
  held: Held | undefined,
  { epoch, secretId }: Acknowledgement,
): "take" | "done" | "unknown" {
  if (held === undefined) return "unknown";
  // The same instance got it in an earlier epoch, and says so late: it has it all the same.
  if (held.record.password?.id === secretId && epoch <= held.record.epoch) return "take";
  return held.acknowledged.includes(secretId) ? "done" : "unknown";
}

/** The record without its password. */
export function bare({ password: _, ...rest }: InstanceRecord): InstanceRecord {
  return rest;
}

/** The ids to remember when one more is acknowledged. */
export function remembered({ acknowledged }: Held, secretId: string): readonly string[] {
  return [...acknowledged, secretId].slice(-ACKNOWLEDGED_MAX);
}

function withoutAcknowledged(
  record: InstanceRecord,
  acknowledged: readonly string[],
): InstanceRecord {
  const isBack = record.password !== undefined && acknowledged.includes(record.password.id);
  return isBack ? bare(record) : record;
}
