/**
 * How the API refuses: CloudStack's numbers, and the bodies in which it sends them.
 *
 * No text holds what the client sent, so that nothing of it reaches a log or a page.
 */

import { ClientApiError, RecordError, StoreError, UserDataError } from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";

/** CloudStack's `errorcode`, each with its `cserrorcode`. */
export const CODES = {
  badRequest: { errorCode: 400, detail: 9999 },
  unauthorized: { errorCode: 401, detail: undefined },
  method: { errorCode: 405, detail: 9999 },
  busy: { errorCode: 429, detail: 9999 },
  malformed: { errorCode: 430, detail: 9999 },
  parameter: { errorCode: 431, detail: 4350 },
  unsupported: { errorCode: 432, detail: 9999 },
  internal: { errorCode: 530, detail: 4250 },
  limit: { errorCode: 532, detail: 9999 },
  capacity: { errorCode: 533, detail: 9999 },
} as const satisfies Readonly<Record<string, Code>>;

interface Code {
  readonly errorCode: number;
  readonly detail: number | undefined;
}

export function refuse(code: keyof typeof CODES, text: string): ClientApiError {
  return new ClientApiError(CODES[code].errorCode, text);
}

/** The body of an error, to stand under the name of the answer. */
export interface ErrorBody {
  readonly uuidList: readonly string[];
  readonly errorcode: number;
  readonly cserrorcode?: number;
  readonly errortext: string;
}

export function errorBody({ errorCode, message }: ClientApiError): ErrorBody {
  const code = Object.values(CODES).find((code) => code.errorCode === errorCode);
  const detail = code === undefined ? 9999 : code.detail;
  return {
    uuidList: [],
    errorcode: errorCode,
    ...(detail !== undefined && { cserrorcode: detail }),
    errortext: message,
  };
}

/** Any error as one that a client may see. One that is not of a client's making is logged. */
export function refusalOf(error: unknown, log: Log): ClientApiError {
  if (error instanceof ClientApiError) return error;
  if (error instanceof UserDataError) return refuse("parameter", error.message);
  if (error instanceof RecordError) {
    const field = error.field === "" ? "a field" : error.field;
    return refuse("parameter", `The instance cannot be kept: ${field} is not well formed`);
  }
  if (!(error instanceof StoreError)) {
    log.error({ err: error }, "a client's command failed");
    return refuse("internal", "The command failed; the reason is in the log");
  }
  if (error.code === "STORE_ADDRESS_TAKEN") {
    return refuse("parameter", "ipaddress: it is another instance's");
  }
  log.warn({ code: error.code, err: error }, "the store refused a client's command");
  return refuse("internal", `The store refused (${error.code}); the reason is in the log`);
}
