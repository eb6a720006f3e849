/**
 * What a write changes in the tables. Runs within a transaction.
 */

import { StoreError } from "../../model/errors.ts";
import type { StoredRecord } from "../../model/record.ts";
import { addressTaken, type Decision, type Held, isSameBody } from "../decide.ts";
import { REMEMBERED_REVISIONS } from "../limits.ts";
import type { StoreSeal } from "../seal.ts";
import { usePayloads } from "./payloads.ts";
import { type Pieces, type RecordRow, sealBody, sealRecord } from "./rows.ts";
import type { Head, Statements } from "./statements.ts";

export interface PutRow {
  readonly statements: Statements;
  readonly seal: StoreSeal;
  readonly head: Head;
  readonly row: RecordRow | undefined;
  /** What the row says; `undefined` also if it is damaged. */
  readonly held: Held | undefined;
  readonly decision: Decision;
}

/** @throws {StoreError} STORE_ADDRESS_TAKEN, STORE_PAYLOAD_UNKNOWN */
export function putRow(put: PutRow): StoredRecord {
  const { statements, seal, head, row, held, decision } = put;
  const { record, isContent } = decision;
  const { network, id, epoch } = record;
  const revision = head.revision + 1;
  const contentRevision = isContent ? revision : (held?.contentRevision ?? revision);
  moveAddresses(put);
  statements.setHead(revision, decision.epochFloor, head.rememberedFrom);
  const pieces = sealRecord(record, seal);
  const body = placeBody(put, pieces);
  statements.putRecord(
    ...[network, id, revision, contentRevision, epoch],
    ...[pieces.document, pieces.secret, JSON.stringify(held?.acknowledged ?? []), body],
  );
  usePayloads({ statements, seal }, record);
  if (row?.body != null) statements.dropBody(row.body);
  return { record, revision };
}

function moveAddresses({ statements, row, held, decision }: PutRow): void {
  const { record, gained, lost } = decision;
  const { network, id } = record;
  if (row !== undefined && held === undefined) statements.takeAddressesOf(network, id);
  for (const address of lost) statements.takeAddress(network, address);
  for (const address of gained) {
    const holder = statements.holderOf(network, address);
    if (holder !== undefined) throw addressTaken(record, address, holder.id);
    statements.giveAddress(network, address, id);
  }
}

/** The name of the row with the user data; `null` if it has none. */
function placeBody(put: PutRow, { body }: Pieces): Uint8Array | null {
  const { statements, seal, row, held, decision } = put;
  if (body !== undefined) {
    if (statements.hasBody(body.name) === undefined) {
      statements.putBody(body.name, sealBody(body, seal));
    }
    return body.name;
  }
  const { userData } = decision.record;
  if (userData === undefined || userData instanceof Uint8Array) return null;
  const kept = held?.record.userData;
  if (isSameBody(kept, userData) && row?.body != null) {
    return row.body;
  }
  throw new StoreError("STORE_BODY_GONE", "the user data was replaced meanwhile; read it again");
}

/** @returns the revision of the deletion */
export function deleteRow(statements: Statements, row: RecordRow): number {
  const { network, id, epoch, body } = row;
  const head = statements.head();
  const revision = head.revision + 1;
  const rememberedFrom = Math.max(head.rememberedFrom, revision - REMEMBERED_REVISIONS);
  statements.takeAddressesOf(network, id);
  statements.deleteRecord(network, id);
  if (body !== null) statements.dropBody(body);
  statements.remember(revision, network, id);
  statements.forget(rememberedFrom);
  statements.setHead(revision, Math.max(head.epochFloor, epoch), rememberedFrom);
  return revision;
}
