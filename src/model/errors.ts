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

/** A program that we run could not be started, took too long or said too much. */
export class ExecError extends MetadataError {
  readonly code: "PROGRAM_MISSING" | "PROGRAM_TIMEOUT" | "PROGRAM_OUTPUT" | "PROGRAM_FAILED";
  readonly remedy = "fix-config";

  constructor(code: ExecError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

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
