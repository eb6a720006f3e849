/**
 * Every error of the operator API, one line each: its status, and what to do about it. To add one,
 * add its code to the closed set in `model/errors.ts`, and a line here.
 *
 * There is one shape: `{error: {code, message, advice}}`. What a client sent is in no message but
 * quoted, cut and without control characters; an error that is not foreseen says nothing of itself.
 */

import type { Context } from "hono";
import { clean } from "../../model/clean.ts";
import {
  MetadataError,
  OperatorApiError,
  RecordError,
  StoreError,
  UserDataError,
} from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";
import { MESSAGE_CHARS_MAX } from "./limits.ts";

interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 429 | 431 | 500 | 503;
  readonly advice: string;
}

// biome-ignore format: a table reads best with one line for each error
const REFUSALS = {
  ADDRESS_TAKEN: { status: 409, advice: "take the address away from the other instance first" },
  ATTEMPTS_TOO_MANY: { status: 429, advice: "wait as long as Retry-After says, then use the right token" },
  BODY_MALFORMED: { status: 400, advice: "send one whole JSON object in UTF-8" },
  BODY_TOO_LARGE: { status: 413, advice: "send less" },
  BODY_TYPE: { status: 415, advice: "name the body's type in Content-Type, as /openapi.json says" },
  FOLLOWERS_TOO_MANY: { status: 503, advice: "end another stream of events, or try again later" },
  INSTANCE_SEALED: { status: 409, advice: "open it first: DELETE its seal, or frontdesk instances open" },
  INSTANCE_UNKNOWN: { status: 404, advice: "see GET /v1/instances for those that there are" },
  INTERNAL: { status: 500, advice: "look for the error in the controller's log, and report it" },
  METHOD_UNKNOWN: { status: 405, advice: "use one of the methods that Allow names" },
  NETWORK_IN_USE: { status: 409, advice: "delete or change the network's instances first" },
  NETWORK_UNKNOWN: { status: 404, advice: "see GET /v1/networks for those that there are" },
  PATH_UNKNOWN: { status: 404, advice: "see /openapi.json for the paths that there are" },
  PAYLOAD_IN_USE: { status: 409, advice: "detach it there first" },
  PAYLOAD_NONE: { status: 404, advice: "give it one with PUT on the same path" },
  PAYLOAD_NOT_RUNNABLE: { status: 400, advice: "begin it with #!, put a file named run at the archive's top, or add ?as=file for one that is only put somewhere" },
  PAYLOAD_UNKNOWN: { status: 404, advice: "see GET /v1/payloads for those that there are" },
  PAYLOADS_FULL: { status: 409, advice: "remove payloads that no instance is given" },
  RECORD_INVALID: { status: 400, advice: "correct the field that is named" },
  RECORDS_READ_ONLY: { status: 409, advice: "change it in the source, as CloudStack or the file" },
  REQUEST_INVALID: { status: 400, advice: "correct what is named; /openapi.json has the schema" },
  REVISION_MISMATCH: { status: 412, advice: "read the instance again, and decide anew" },
  ROLE_TOO_LOW: { status: 403, advice: "use a token with the role that is named" },
  STORE_UNAVAILABLE: { status: 503, advice: "try again; if it lasts, see GET /v1/conditions" },
  TOKEN_MISSING: { status: 401, advice: "send Authorization: Bearer TOKEN; make one with frontdesk token create" },
  TOKEN_UNKNOWN: { status: 401, advice: "check the token; frontdesk token list names those that count" },
  UPLOADS_TOO_MANY: { status: 503, advice: "try again later" },
  USER_DATA_KEPT: { status: 409, advice: "add ?replace=true to lose it" },
  USER_DATA_NONE: { status: 404, advice: "set some with PUT on the same path" },
  USER_DATA_NOT_BASE64: { status: 400, advice: "encode it as base64, or send the bytes as application/octet-stream" },
  USER_DATA_TOO_LARGE: { status: 431, advice: "send less, compress it, or raise userDataMax" },
  USER_DATA_TOO_SHORT: { status: 400, advice: "use DELETE to have no user data" },
} as const satisfies Readonly<Record<string, Refusal>>;

export type ErrorCode = keyof typeof REFUSALS;

/** For the OpenAPI document. */
export const ERROR_CODES: readonly ErrorCode[] = Object.keys(REFUSALS) as ErrorCode[];

const RETRY_AFTER: ReadonlySet<ErrorCode> = new Set([
  "FOLLOWERS_TOO_MANY",
  "STORE_UNAVAILABLE",
  "UPLOADS_TOO_MANY",
]);

/** The answer to whatever was thrown. A bug is logged here, once, and told nobody else. */
export function answerError(error: unknown, c: Context, log: Log): Response {
  const { code, message } = refusalOf(error);
  if (code === "INTERNAL") log.error({ err: error, path: c.req.routePath }, "api request failed");
  return errorAnswer(c, code, message);
}

function errorAnswer(c: Context, code: ErrorCode, message: string): Response {
  const { status, advice } = REFUSALS[code];
  if (status === 401) c.header("WWW-Authenticate", 'Bearer realm="frontdesk"');
  if (RETRY_AFTER.has(code)) c.header("Retry-After", "1");
  c.header("Cache-Control", "no-store");
  const text = clean(message.slice(0, MESSAGE_CHARS_MAX));
  return c.json({ error: { code, message: text, advice } }, status);
}

function refusalOf(error: unknown): { code: ErrorCode; message: string } {
  if (error instanceof OperatorApiError || error instanceof UserDataError) {
    return { code: error.code, message: error.message };
  }
  if (error instanceof RecordError) return { code: "RECORD_INVALID", message: error.message };
  if (error instanceof StoreError) return refusalOfStore(error);
  // A body that cannot be read back, a disk that is full: ours to mend, and said in conditions.
  if (error instanceof MetadataError) {
    return { code: "STORE_UNAVAILABLE", message: "the store could not do it" };
  }
  return { code: "INTERNAL", message: "something went wrong that was not foreseen" };
}

function refusalOfStore({ code, message }: StoreError): { code: ErrorCode; message: string } {
  if (code === "STORE_CONFLICT") return { code: "REVISION_MISMATCH", message };
  if (code === "STORE_ADDRESS_TAKEN") return { code: "ADDRESS_TAKEN", message };
  if (code === "STORE_PAYLOAD_IN_USE") return { code: "PAYLOAD_IN_USE", message };
  if (code === "STORE_PAYLOAD_UNKNOWN") return { code: "PAYLOAD_UNKNOWN", message };
  if (code === "STORE_PAYLOADS_FULL") return { code: "PAYLOADS_FULL", message };
  // The message may name a file of this machine.
  return { code: "STORE_UNAVAILABLE", message: "the store could not do it" };
}
