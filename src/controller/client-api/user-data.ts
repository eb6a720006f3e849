/**
 * User data as a command gives it: its text, or the id of what was registered, never both.
 */

import type { ClientApiError } from "../../model/errors.ts";
import type { InstanceRecord } from "../../model/record.ts";
import { decodeUserData } from "../user-data.ts";
import type { Call } from "./command.ts";
import { refuse } from "./errors.ts";

/** For a command's schema. */
export const USER_DATA_PARAMS = {
  userdata: { kind: "body" },
  userdataid: { kind: "text" },
  userdatadetails: { kind: "map" },
} as const;

/** What an instance is to have. */
export interface Chosen {
  /** Absent where it is to have none. */
  readonly bytes?: Uint8Array;
  readonly userdataid?: string;
}

/**
 * @returns `undefined` if the command says nothing of it
 * @throws {ClientApiError} 431
 * @throws {UserDataError} which says the size and the limit.
 */
export function chosenUserData(
  given: { readonly userdata: string | undefined; readonly userdataid: string | undefined },
  call: Call,
): Chosen | undefined {
  const { userdata, userdataid } = given;
  if (userdataid === undefined) {
    if (userdata === undefined) return undefined;
    const bytes = decoded(userdata, call);
    return bytes === undefined ? {} : { bytes };
  }
  if (userdata !== undefined && userdata !== "") {
    throw refuse("parameter", "Give userdata or userdataid, not both");
  }
  const registered = call.lab.userData.get(userdataid);
  if (registered === undefined) throw noUserData("userdataid");
  return { bytes: Buffer.from(registered.userdata, "base64"), userdataid };
}

export function noUserData(param: string): ClientApiError {
  return refuse("parameter", `${param}: there is no such user data`);
}

/**
 * @returns `undefined` for an empty text
 * @throws {UserDataError} which says the size and the limit.
 */
export function decoded(text: string, { lab, method }: Call): Uint8Array | undefined {
  return decodeUserData(text, { method, charsMax: lab.ports.userDataMax });
}

/** The record with other user data, or without any. */
export function withUserData(
  record: InstanceRecord,
  bytes: Uint8Array | undefined,
): InstanceRecord {
  const { userData: _, ...rest } = record;
  return bytes === undefined ? rest : { ...rest, userData: bytes };
}
