/**
 * Payloads in the tables: a row for each, one for each of its parts, and one for each record that
 * names it. All of it is sealed, the names too: whoever has the file alone cannot tell whether it
 * holds a content that he knows.
 */

import type { StoredBody } from "../../model/binding.ts";
import { StoreError } from "../../model/errors.ts";
import {
  cutIntoParts,
  type Payload,
  type PayloadKind,
  partBytes,
  type StoredPayload,
} from "../../model/payload.ts";
import type { InstanceRecord } from "../../model/record.ts";
import {
  byName,
  checkNamed,
  checkRoom,
  listed,
  type PayloadHead,
  payloadHead,
  payloadInUse,
} from "../payloads.ts";
import type { StoreSeal } from "../seal.ts";
import type { Statements } from "./statements.ts";

export interface PayloadTables {
  readonly statements: Statements;
  readonly seal: StoreSeal;
}

type ReadPart = (name: Uint8Array, part: number) => Promise<Uint8Array>;

/** @returns what writes it, within a transaction. @throws {RecordError} */
export function payloadWrite(
  { statements, seal }: PayloadTables,
  content: Uint8Array,
  kind: PayloadKind,
): () => StoredPayload & { readonly isNew: boolean } {
  const head = payloadHead(content, kind);
  const name = nameOf(head.sha256, seal);
  return () => {
    const known = openHead(statements.payload(name)?.sealed, { name, seal });
    if (known !== undefined) return { ...listed(known), isNew: false };
    statements.dropPayload(name); // One that is damaged is written anew.
    statements.dropPayloadParts(name);
    checkRoom(statements.payloadTotals() ?? { count: 0, bytes: 0 }, head.bytes);
    const text = Buffer.from(JSON.stringify(head));
    statements.putPayload(name, head.bytes, seal.seal(text, headPlace(name)));
    for (const [part, bytes] of cutIntoParts(content).entries()) {
      statements.putPayloadPart(name, part, seal.seal(bytes, partPlace(name, part)));
    }
    return { ...listed(head), isNew: true };
  };
}

/** The payload of a name; `undefined` if there is none, or it is damaged. */
export function findPayload(
  { statements, seal }: PayloadTables,
  sha256: string,
  read: ReadPart,
): (Payload & StoredPayload) | undefined {
  const name = nameOf(sha256, seal);
  const head = openHead(statements.payload(name)?.sealed, { name, seal });
  if (head === undefined) return undefined;
  const parts = head.hashes.map((hash, part): StoredBody => {
    return { length: partBytes(head.bytes, part), hash, read: () => read(name, part) };
  });
  return { ...listed(head), parts };
}

/** @throws {StoreError} if the part is not there, or does not open. */
export function openPart(
  { statements, seal }: PayloadTables,
  name: Uint8Array,
  part: number,
): Uint8Array {
  const row = statements.payloadPart(name, part);
  if (row === undefined) {
    throw new StoreError("STORE_PAYLOAD_UNKNOWN", "the payload was removed meanwhile");
  }
  const content = seal.open(row.sealed, partPlace(name, part));
  if (content !== undefined) return content;
  throw new StoreError("STORE_UNREADABLE", "a payload in the store does not open; add it again");
}

export function listPayloads({ statements, seal }: PayloadTables): readonly StoredPayload[] {
  const all = statements.payloads().flatMap(({ name, sealed }) => {
    const head = openHead(sealed, { name, seal });
    return head === undefined ? [] : [listed(head)];
  });
  return all.sort(byName);
}

/** Within a transaction. @throws {StoreError} while a record names it. */
export function dropPayload({ statements, seal }: PayloadTables, sha256: string): boolean {
  const name = nameOf(sha256, seal);
  if (statements.payload(name) === undefined) return false;
  const user = statements.payloadUser(name);
  if (user !== undefined) throw payloadInUse(sha256, user);
  statements.dropPayload(name);
  statements.dropPayloadParts(name);
  return true;
}

/** Notes what a record names, behind its row. @throws {StoreError} if a payload is not there. */
export function usePayloads(tables: PayloadTables, record: InstanceRecord): void {
  if (record.payloads === undefined) return;
  const { statements, seal } = tables;
  checkNamed(record, (sha256) => {
    const name = nameOf(sha256, seal);
    return openHead(statements.payload(name)?.sealed, { name, seal });
  });
  for (const { sha256 } of record.payloads) {
    statements.usePayload(record.network, record.id, nameOf(sha256, seal));
  }
}

const hex = (name: Uint8Array): string => Buffer.from(name).toString("hex");
const headPlace = (name: Uint8Array): string => `payload\0${hex(name)}`;
const partPlace = (name: Uint8Array, part: number): string => `part\0${hex(name)}\0${part}`;

function nameOf(sha256: string, seal: StoreSeal): Uint8Array {
  return seal.nameOf(Buffer.from(`payload ${sha256}`));
}

function openHead(
  sealed: Uint8Array | undefined,
  { name, seal }: { readonly name: Uint8Array; readonly seal: StoreSeal },
): PayloadHead | undefined {
  const text = sealed && seal.open(sealed, headPlace(name))?.toString();
  return text === undefined ? undefined : (JSON.parse(text) as PayloadHead);
}
