/**
 * The errors this program raises on purpose.
 *
 * Each has a `code` that is stable across releases: tests, metrics, logs and the
 * documentation refer to the code, people read the message. An error that is not
 * a `MetadataError` is a bug, and the daemon treats it as one.
 */

/** What to do about an error, decided where it is raised, not where it is caught. */
export type Remedy = "retry" | "fix-config" | "fix-request" | "report-bug";

export abstract class MetadataError extends Error {
  /** Upper snake case, never reused for another meaning. */
  abstract readonly code: string;
  abstract readonly remedy: Remedy;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The text is not an address in the one spelling we accept (see `parseIp`). */
export class InvalidAddressError extends MetadataError {
  readonly code = "INVALID_ADDRESS";
  readonly remedy = "fix-request";

  constructor(text: string, options?: ErrorOptions) {
    super(`not an IP address: ${quote(text)}`, options);
  }
}

/** The text is not a 48-bit MAC address in colon notation (see `parseMac`). */
export class InvalidMacError extends MetadataError {
  readonly code = "INVALID_MAC";
  readonly remedy = "fix-request";

  constructor(text: string, options?: ErrorOptions) {
    super(`not a MAC address: ${quote(text)}`, options);
  }
}

/** The text is not a network in CIDR notation (see `parseCidr`). */
export class InvalidCidrError extends MetadataError {
  readonly code = "INVALID_CIDR";
  readonly remedy = "fix-config";

  constructor(text: string, options?: ErrorOptions) {
    super(`not a network in CIDR notation: ${quote(text)}`, options);
  }
}

/** The command line is wrong. The program exits with 2. */
export class UsageError extends MetadataError {
  readonly code = "USAGE";
  readonly remedy = "fix-request";
}

/** Where in a file something is wrong. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly field?: string;
}

/** A configuration file or setting is wrong. The program exits with 2. */
export class ConfigError extends MetadataError {
  readonly code = "CONFIG";
  readonly remedy = "fix-config";

  constructor(message: string, place?: Place, options?: ErrorOptions) {
    super(at(place, message), options);
  }
}

/** A source could not be read, or what it says cannot be understood. */
export class SourceError extends MetadataError {
  readonly code: "SOURCE_UNREADABLE" | "SOURCE_MALFORMED";
  readonly remedy = "fix-config";

  constructor(
    code: "SOURCE_UNREADABLE" | "SOURCE_MALFORMED",
    message: string,
    place?: Place,
    options?: ErrorOptions,
  ) {
    super(at(place, message), options);
    this.code = code;
  }
}

/** A CloudStack command given to `apply` is not one we know, or is malformed. */
export class CommandError extends MetadataError {
  readonly code = "COMMAND_INVALID";
  readonly remedy = "fix-request";

  constructor(message: string, place?: Place, options?: ErrorOptions) {
    super(at(place, message), options);
  }
}

/** An address to listen on is taken, or is not this machine's. */
export class ListenError extends MetadataError {
  readonly code: "ADDRESS_IN_USE" | "ADDRESS_NOT_LOCAL" | "ADDRESS_DENIED" | "LISTEN_FAILED";
  readonly remedy = "fix-config";

  constructor(code: ListenError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The state directory cannot be used: held by another program, not writable, or not ours. */
export class StateError extends MetadataError {
  readonly code:
    | "STATE_LOCKED"
    | "STATE_FOREIGN"
    | "STATE_UNWRITABLE"
    | "STATE_UNREADABLE"
    | "STATE_FORMAT"
    | "STATE_KEY"
    | "STATE_PERMISSIONS";
  readonly remedy = "fix-config";

  constructor(code: StateError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The running router could not be asked, or refused. */
export class AdminError extends MetadataError {
  readonly code = "ADMIN";
  readonly remedy = "retry";
}

/** The controller refuses who asks it: the token is none, or its role is too low. */
export class AccessError extends MetadataError {
  readonly code = "ACCESS_DENIED";
  readonly remedy = "fix-config";
}

/** A program that we run could not be started, took too long or said too much. */
export class ExecError extends MetadataError {
  readonly code: "PROGRAM_MISSING" | "PROGRAM_TIMEOUT" | "PROGRAM_OUTPUT" | "PROGRAM_FAILED";
  readonly remedy = "fix-config";

  constructor(code: ExecError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** CloudStack's API could not be asked, refused, or answered what cannot be used. */
export class CloudStackError extends MetadataError {
  readonly code:
    | "CLOUDSTACK_ADDRESS"
    | "CLOUDSTACK_ANSWER"
    | "CLOUDSTACK_BUSY"
    | "CLOUDSTACK_CLOCK"
    | "CLOUDSTACK_FAILED"
    | "CLOUDSTACK_FORBIDDEN"
    | "CLOUDSTACK_KEYS"
    | "CLOUDSTACK_REQUEST"
    | "CLOUDSTACK_TIMEOUT"
    | "CLOUDSTACK_TLS"
    | "CLOUDSTACK_TOO_LARGE"
    | "CLOUDSTACK_UNREACHABLE";
  readonly remedy: Remedy;
  /** The API's own `errorcode`, where it sent one. */
  readonly errorCode: number | undefined;
  /** How long the API asks to be left alone, where it says so. ms. */
  readonly waitMs: number | undefined;

  constructor(
    code: CloudStackError["code"],
    message: string,
    details: { readonly errorCode?: number; readonly waitMs?: number } = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.errorCode = details.errorCode;
    this.waitMs = details.waitMs;
    this.remedy = CLOUDSTACK_REMEDY[code];
  }
}

const CLOUDSTACK_REMEDY: Readonly<Record<CloudStackError["code"], Remedy>> = {
  CLOUDSTACK_ADDRESS: "fix-config",
  CLOUDSTACK_ANSWER: "retry",
  CLOUDSTACK_BUSY: "retry",
  CLOUDSTACK_CLOCK: "fix-config",
  CLOUDSTACK_FAILED: "retry",
  CLOUDSTACK_FORBIDDEN: "fix-config",
  CLOUDSTACK_KEYS: "fix-config",
  CLOUDSTACK_REQUEST: "fix-request",
  CLOUDSTACK_TIMEOUT: "retry",
  CLOUDSTACK_TLS: "fix-config",
  CLOUDSTACK_TOO_LARGE: "fix-config",
  CLOUDSTACK_UNREACHABLE: "retry",
};

/** In a guest: nobody serves metadata, or what was served cannot be used, or kept. */
export class GuestError extends MetadataError {
  readonly code:
    | "ENDPOINT_NONE"
    | "ENDPOINT_FAILED"
    | "PLATFORM_UNKNOWN"
    | "METADATA_UNSETTLED"
    | "METADATA_LIMIT"
    | "CACHE_UNSAFE"
    | "CACHE_UNREADABLE"
    | "CACHE_UNWRITABLE";
  readonly remedy: Remedy;

  constructor(code: GuestError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = code.startsWith("CACHE_") ? "fix-config" : "retry";
  }
}

/** A record of an instance cannot be kept as it is: a field is missing, malformed or too large. */
export class RecordError extends MetadataError {
  readonly code = "RECORD_INVALID";
  readonly remedy = "fix-request";
  /** Which field, as in `nics[0].mac`; `""` for the record itself. */
  readonly field: string;

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(field === "" ? message : `${field}: ${message}`, options);
    this.field = field;
  }
}

/** What the store answers instead of doing what was asked. */
export class StoreError extends MetadataError {
  readonly code:
    | "STORE_ADDRESS_TAKEN"
    | "STORE_BODY_GONE"
    | "STORE_CLOSED"
    | "STORE_CONFLICT"
    | "STORE_FORMAT"
    | "STORE_KEY"
    | "STORE_LOCKED"
    | "STORE_MISSING"
    | "STORE_PAYLOAD_IN_USE"
    | "STORE_PAYLOAD_UNKNOWN"
    | "STORE_PAYLOADS_FULL"
    | "STORE_READ_ONLY"
    | "STORE_REPLACED"
    | "STORE_UNREADABLE"
    | "STORE_UNSUPPORTED"
    | "STORE_UNWRITABLE";
  readonly remedy: Remedy;

  constructor(code: StoreError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = STORE_REMEDIES[code] ?? "fix-config";
  }
}

/** Where it is not the configuration that must be mended. */
const STORE_REMEDIES: { readonly [Code in StoreError["code"]]?: Remedy } = {
  STORE_ADDRESS_TAKEN: "fix-request",
  STORE_BODY_GONE: "retry",
  STORE_CLOSED: "report-bug",
  STORE_CONFLICT: "retry",
  STORE_MISSING: "retry",
  STORE_PAYLOAD_IN_USE: "fix-request",
  STORE_PAYLOAD_UNKNOWN: "fix-request",
  STORE_PAYLOADS_FULL: "fix-request",
  STORE_READ_ONLY: "report-bug",
  STORE_REPLACED: "retry",
};

/** A record was changed meanwhile: whoever wrote knew another revision than the one that it has. */
export class StoreConflictError extends StoreError {
  /** 0 where no record was expected. */
  readonly expected: number;
  /** 0 where there is no record. */
  readonly actual: number;

  constructor(name: string, revisions: { readonly expected: number; readonly actual: number }) {
    const { expected, actual } = revisions;
    super(
      "STORE_CONFLICT",
      `${name} is at revision ${actual}, not ${expected}; read it again and decide anew`,
    );
    this.expected = expected;
    this.actual = actual;
  }
}

/** What the CloudStack-compatible API answers instead of doing what was asked. */
export class ClientApiError extends MetadataError {
  readonly code = "CLIENT_API";
  readonly remedy = "fix-request";
  /** CloudStack's number for it, and the status of the answer. */
  readonly errorCode: number;

  /** @param message for the client: it holds nothing that the client sent, and no secret */
  constructor(errorCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.errorCode = errorCode;
  }
}

/** User data that an API was given cannot be kept. The message shows none of it. */
export class UserDataError extends MetadataError {
  readonly code: "USER_DATA_NOT_BASE64" | "USER_DATA_TOO_LARGE" | "USER_DATA_TOO_SHORT";
  readonly remedy = "fix-request";
  /** Of one that is too large, in characters of base64. */
  readonly size: number | undefined;
  readonly limit: number | undefined;

  constructor(
    code: UserDataError["code"],
    message: string,
    { size, limit }: { readonly size?: number; readonly limit?: number } = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.size = size;
    this.limit = limit;
  }
}

/** What the operator API answers instead of doing what was asked. */
export class OperatorApiError extends MetadataError {
  readonly code:
    | "ATTEMPTS_TOO_MANY"
    | "BODY_MALFORMED"
    | "BODY_TOO_LARGE"
    | "BODY_TYPE"
    | "FOLLOWERS_TOO_MANY"
    | "INSTANCE_SEALED"
    | "INSTANCE_UNKNOWN"
    | "METHOD_UNKNOWN"
    | "NETWORK_IN_USE"
    | "NETWORK_UNKNOWN"
    | "PATH_UNKNOWN"
    | "PAYLOAD_NONE"
    | "PAYLOAD_NOT_RUNNABLE"
    | "PAYLOAD_UNKNOWN"
    | "RECORDS_READ_ONLY"
    | "REQUEST_INVALID"
    | "REVISION_MISMATCH"
    | "ROLE_TOO_LOW"
    | "TOKEN_MISSING"
    | "TOKEN_UNKNOWN"
    | "UPLOADS_TOO_MANY"
    | "USER_DATA_KEPT"
    | "USER_DATA_NONE";
  readonly remedy = "fix-request";

  /** @param message for the client: what it sent stands there quoted or not at all */
  constructor(code: OperatorApiError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Guarding the metadata service in a guest failed, or would be unsafe. */
export class HardenError extends MetadataError {
  readonly code:
    | "HARDEN_NOT_ROOT"
    | "HARDEN_NO_FIREWALL"
    | "HARDEN_NOT_IN_FORCE"
    | "HARDEN_UNSAFE_PROGRAM";
  readonly remedy = "fix-config";

  constructor(code: HardenError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Quotes untrusted text for a message: JSON-escaped, so that it stays on one line, and bounded. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function at(place: Place | undefined, message: string): string {
  if (place === undefined) return message;
  const line = place.line === undefined ? "" : `:${place.line}`;
  const field = place.field === undefined ? "" : `: ${place.field}`;
  return `${place.file}${line}${field}: ${message}`;
}
