/**
 * Reading and changing records for the routes: revisions as entity tags, compare-and-set, and the
 * rule that records are the source's where there is one.
 */

import type { Context } from "hono";
import { OperatorApiError, StoreConflictError } from "../../model/errors.ts";
import type { InstanceRecord, RecordName, StoredRecord } from "../../model/record.ts";
import type { ApiPorts } from "../parts.ts";
import { WRITE_ATTEMPTS_MAX } from "./limits.ts";

/** @throws {OperatorApiError} if there is none. */
export async function existing(ports: ApiPorts, name: RecordName): Promise<StoredRecord> {
  const stored = await ports.store.get(name);
  if (stored !== undefined) return stored;
  throw unknownInstance();
}

export function unknownInstance(): OperatorApiError {
  return new OperatorApiError("INSTANCE_UNKNOWN", "there is no such instance in that network");
}

export function unknownNetwork(): OperatorApiError {
  return new OperatorApiError("NETWORK_UNKNOWN", "there is no such network");
}

/** @throws {OperatorApiError} where a source owns the records. */
export function checkWritable({ readOnly }: ApiPorts): void {
  if (!readOnly) return;
  throw new OperatorApiError(
    "RECORDS_READ_ONLY",
    "a source owns the records here, and would undo the change",
  );
}

/** The revision as an entity tag. A record has one for each that it ever had. */
export function etagOf(revision: number): string {
  return `"${revision}"`;
}

/**
 * Changes a record and writes it: at the revision that the client expects, if it says one, else at
 * whichever is there, again when another write comes between.
 *
 * @param change from what is there to what shall be there; it may be called more than once
 * @throws {OperatorApiError} REVISION_MISMATCH
 */
export async function write(
  c: Context,
  ports: ApiPorts,
  { name, change }: { name: RecordName; change: Change },
): Promise<Written> {
  const condition = conditionOf(c);
  for (let attempt = 1; ; attempt++) {
    const before = await ports.store.get(name);
    checkCondition(condition, before);
    const expect = before?.revision ?? 0;
    try {
      const stored = await ports.store.put(change(before?.record), { expect });
      c.header("ETag", etagOf(stored.revision));
      return { stored, isNew: before === undefined };
    } catch (error) {
      const isOvertaken = error instanceof StoreConflictError && condition === undefined;
      if (!isOvertaken || attempt === WRITE_ATTEMPTS_MAX) throw error;
    }
  }
}

export type Change = (before: InstanceRecord | undefined) => InstanceRecord;

export interface Written {
  readonly stored: StoredRecord;
  readonly isNew: boolean;
}

/** For a change of what must be there. */
export function ofExisting(change: (before: InstanceRecord) => InstanceRecord): Change {
  return (before) => {
    if (before !== undefined) return change(before);
    throw unknownInstance();
  };
}

/** What a client says that must hold: a revision, any record, or none. */
type Condition = number | "any" | "none" | undefined;

/** @throws {OperatorApiError} if it is not one of ours: then nothing can be compared. */
export function conditionOf(c: Context): Condition {
  const ifMatch = c.req.header("if-match");
  const ifNone = c.req.header("if-none-match");
  if (ifMatch === undefined && ifNone === undefined) return undefined;
  if (ifMatch === "*" && ifNone === undefined) return "any";
  if (ifNone === "*" && ifMatch === undefined) return "none";
  const revision = /^"([1-9][0-9]{0,15})"$/.exec(ifMatch ?? "")?.[1];
  if (revision !== undefined && ifNone === undefined) return Number(revision);
  throw new OperatorApiError(
    "REQUEST_INVALID",
    'If-Match must be one ETag of this API, as "17", or *; If-None-Match must be *',
  );
}

export function checkCondition(condition: Condition, before: StoredRecord | undefined): void {
  if (condition === undefined) return;
  const actual = before?.revision ?? 0;
  if (condition === "any" && actual !== 0) return;
  if (condition === "none" && actual === 0) return;
  if (condition === actual) return;
  const is = actual === 0 ? "is not there" : `is at revision ${actual}`;
  throw new OperatorApiError("REVISION_MISMATCH", `the instance ${is}`);
}
