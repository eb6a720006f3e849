/**
 * Between records and what the API says. Pure.
 *
 * A password never goes out, only whether one waits. User data has a path of its own; elsewhere it
 * is a number of bytes.
 */

import type { KeyValue } from "../../model/binding.ts";
import { OperatorApiError, UserDataError } from "../../model/errors.ts";
import {
  type InstanceRecord,
  isSealed,
  type RecordName,
  type RecordNic,
  type StoredRecord,
} from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { decodeUserData } from "../user-data.ts";
import { derivedAnew, derivedAt, derivedOf, STANDARD_DERIVED, STANDARD_KEYS } from "./derived.ts";
import type { InstanceInput, InstanceOutput, SummaryOutput } from "./schemas.ts";

const TEXTS = ["account", "project", "zone", "template"] as const;

export type PasswordState = "pending" | "none";

export function passwordState({ password }: Pick<InstanceRecord, "password">): PasswordState {
  return password === undefined ? "none" : "pending";
}

export function instanceView(stored: StoredRecord): InstanceOutput {
  const { record } = stored;
  return {
    ...summaryView(stored),
    nics: record.nics.map((nic) => ({
      ...nicView(nic),
      ...(nic.keys !== undefined && {
        keys: nic.keys.map(pairOf),
        derived: derivedAt(record, nic),
      }),
    })),
    keys: record.keys.map(pairOf),
    derived: derivedOf(record),
    publicKeys: [...record.publicKeys],
  };
}

export function summaryView({ record, revision }: StoredRecord): SummaryOutput {
  const { network, id, name, userData, payloads, incarnation, epoch } = record;
  return {
    ...{ network, id, name },
    ...textsOf(record),
    nics: record.nics.map(nicView),
    ...(userData !== undefined && { userData: { bytes: userData.length } }),
    ...(payloads !== undefined && {
      payloads: payloads.map(({ sha256, bytes }) => ({ sha256, bytes })),
    }),
    ...{ password: passwordState(record), sealed: isSealed(record) },
    ...{ incarnation, epoch, revision },
  };
}

function nicView({ addresses, mac, ...nic }: RecordNic): SummaryOutput["nics"][number] {
  return {
    ...(mac !== undefined && { mac }),
    ...{ addresses: [...addresses], default: nic.default },
  };
}

/**
 * The record that a body asks for. What a body leaves out, and cannot say, stays as it was: user
 * data, public keys, a password that waits, a seal.
 *
 * @throws {OperatorApiError} if the body names another instance than the path does.
 * @throws {RecordError | UserDataError} if a field cannot be kept.
 */
export function recordOf(
  name: RecordName,
  body: InstanceInput,
  { before, userDataMax }: { before: InstanceRecord | undefined; userDataMax: number },
): InstanceRecord {
  for (const field of ["network", "id"] as const) {
    if (body[field] === undefined || body[field] === name[field]) continue;
    throw new OperatorApiError("REQUEST_INVALID", `${field}: differs from the path's`);
  }
  const publicKeys = body.publicKeys ?? before?.publicKeys ?? [];
  const userData = userDataFor(body, before, userDataMax);
  const payloads = body.payloads ?? before?.payloads ?? [];
  const { password, sealedIncarnation } = before ?? {};
  const record = parseRecord({
    ...name,
    name: body.name,
    ...textsOf(body),
    ...{ nics: body.nics, keys: body.keys ?? STANDARD_KEYS },
    ...{ publicKeys, payloads, ...(userData !== undefined && { userData }) },
    ...(password !== undefined && { password }),
    ...(sealedIncarnation !== undefined && { sealedIncarnation }),
    incarnation: body.incarnation ?? before?.incarnation ?? 1,
    epoch: before?.epoch ?? 1,
  });
  // Addresses are canonical now, and so is what follows them.
  const derived = body.keys === undefined ? STANDARD_DERIVED : body.derived;
  return derivedAnew(record, { nics: body.nics, derived });
}

function userDataFor(
  { userData }: InstanceInput,
  before: InstanceRecord | undefined,
  charsMax: number,
): InstanceRecord["userData"] {
  if (userData === null) return undefined;
  if (userData === undefined || !("base64" in userData)) return before?.userData;
  const bytes = decodeUserData(userData.base64, { method: "POST", charsMax });
  // A variable of a script that is empty looks like this. Who wants none says null.
  if (bytes === undefined)
    throw new UserDataError("USER_DATA_TOO_SHORT", "user data holds no byte");
  return bytes;
}

type Texts = { -readonly [Name in (typeof TEXTS)[number]]?: string };

function textsOf(
  from: {
    readonly [Name in (typeof TEXTS)[number]]?: string | undefined;
  },
): Texts {
  const texts: Texts = {};
  for (const name of TEXTS) if (from[name] !== undefined) texts[name] = from[name];
  return texts;
}

function pairOf([name, value]: KeyValue): [string, string | null] {
  return [name, value];
}
