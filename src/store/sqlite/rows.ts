/**
 * From a record to what stands in its row, and back.
 *
 * The document is JSON, sealed. User data beyond some size lies in a row of its own, under a name
 * made from its content, so that listings do not read it and equal user data is kept once.
 */

import type { Body } from "../../model/binding.ts";
import { StoreError } from "../../model/errors.ts";
import type { InstanceRecord, RecordName, Secret } from "../../model/record.ts";
import { isReadableFormat, parseRecord, RECORD_FORMAT } from "../../model/record-parse.ts";
import { contentHash } from "../../protocol/etag.ts";
import { type Held, label } from "../decide.ts";
import { USER_DATA_INLINE_MAX } from "../limits.ts";
import type { StoreSeal } from "../seal.ts";

/** A row of the table `record`. */
export interface RecordRow extends RecordName {
  readonly revision: number;
  readonly content_revision: number;
  readonly epoch: number;
  readonly document: Uint8Array;
  readonly secret: Uint8Array | null;
  /** JSON: a list of ids. */
  readonly acknowledged: string;
  readonly body: Uint8Array | null;
}

/** Sealed pieces of a record; `body` is user data that belongs into a row of its own. */
export interface Pieces {
  readonly document: Uint8Array;
  readonly secret: Uint8Array | null;
  readonly body: { readonly name: Uint8Array; readonly content: Uint8Array } | undefined;
}

/** How the document speaks of user data. */
type UserDataForm =
  | { readonly base64: string }
  | { readonly length: number; readonly hash: string };

type ReadBody = (name: Uint8Array) => Promise<Uint8Array>;

const documentPlace = ({ network, id }: RecordName): string => `record\0${network}\0${id}`;
const secretPlace = ({ network, id }: RecordName): string => `secret\0${network}\0${id}`;
const bodyPlace = (name: Uint8Array): string => `body\0${Buffer.from(name).toString("hex")}`;

export function sealRecord(record: InstanceRecord, seal: StoreSeal): Pieces {
  const { userData, password, ...rest } = record;
  const document = { format: RECORD_FORMAT, ...rest, userData: formOf(userData) };
  const isApart = userData instanceof Uint8Array && userData.length > USER_DATA_INLINE_MAX;
  return {
    document: seal.seal(Buffer.from(JSON.stringify(document)), documentPlace(record)),
    secret: password === undefined ? null : sealSecret(record, password, seal),
    body: isApart ? { name: seal.nameOf(userData), content: userData } : undefined,
  };
}

function sealSecret(name: RecordName, secret: Secret, seal: StoreSeal): Uint8Array {
  return seal.seal(Buffer.from(JSON.stringify(secret)), secretPlace(name));
}

export function sealBody(body: NonNullable<Pieces["body"]>, seal: StoreSeal): Uint8Array {
  return seal.seal(body.content, bodyPlace(body.name));
}

export function openBody(name: Uint8Array, sealed: Uint8Array, seal: StoreSeal): Uint8Array {
  const content = seal.open(sealed, bodyPlace(name));
  if (content !== undefined) return content;
  throw new StoreError("STORE_UNREADABLE", "user data in the store does not open; set it again");
}

function formOf(userData: Body | undefined): UserDataForm | undefined {
  if (userData === undefined) return undefined;
  if (!(userData instanceof Uint8Array)) return { length: userData.length, hash: userData.hash };
  if (userData.length > USER_DATA_INLINE_MAX) {
    return { length: userData.length, hash: contentHash(userData) };
  }
  return { base64: Buffer.from(userData).toString("base64") };
}

/**
 * `undefined` if the row is damaged.
 *
 * @throws {StoreError} STORE_FORMAT if it is of a format that is too new.
 */
export function openRow(row: RecordRow, seal: StoreSeal, readBody: ReadBody): Held | undefined {
  const document = parsed(seal.open(row.document, documentPlace(row)));
  if (document === undefined) return undefined;
  const { format, userData, ...fields } = document;
  if (!isReadableFormat(format)) {
    const what = `${label(row)} is written in format ${String(format)}`;
    throw new StoreError(
      "STORE_FORMAT",
      `${what}; this program reads ${RECORD_FORMAT + 1} at most`,
    );
  }
  const password =
    row.secret === null ? undefined : parsed(seal.open(row.secret, secretPlace(row)));
  if (row.secret !== null && password === undefined) return undefined;
  try {
    const body = bodyOf(userData as UserDataForm | undefined, row.body, readBody);
    const { revision, content_revision: contentRevision } = row;
    const acknowledged = JSON.parse(row.acknowledged);
    const record = parseRecord({ ...fields, password, userData: body });
    return { record, revision, contentRevision, acknowledged };
  } catch {
    return undefined;
  }
}

function parsed(content: Buffer | undefined): Readonly<Record<string, unknown>> | undefined {
  return content === undefined ? undefined : JSON.parse(content.toString());
}

function bodyOf(
  form: UserDataForm | undefined,
  name: Uint8Array | null,
  readBody: ReadBody,
): Body | undefined {
  if (form === undefined) return undefined;
  if ("base64" in form) return new Uint8Array(Buffer.from(form.base64, "base64"));
  if (name === null) throw new StoreError("STORE_UNREADABLE", "user data without a place");
  return { length: form.length, hash: form.hash, read: () => readBody(name) };
}
