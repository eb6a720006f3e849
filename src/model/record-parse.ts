/**
 * From anything to a record: what a writer hands in, or what an older or newer program wrote.
 *
 * Every field is checked, addresses become canonical, unknown fields are left out. A format may
 * add fields to the one before, and may not give a field another meaning: so one older and one
 * newer are read by the same rules.
 */

import { type Ip, type Mac, parseCidr, tryParseIp, tryParseMac } from "./address.ts";
import { type Body, KEY_NAME, type KeyValue, type Writable } from "./binding.ts";
import type { Network } from "./change.ts";
import { quote, RecordError } from "./errors.ts";
import { PAYLOAD_BYTES_MAX, PAYLOADS_OF_RECORD_MAX, type PayloadRef, SHA256 } from "./payload.ts";
import type { InstanceRecord, RecordNic, Secret } from "./record.ts";
import {
  ADDRESSES_MAX,
  CIDRS_MAX,
  COUNT_MAX,
  KEYS_MAX,
  LINE_CHARS_MAX,
  NETWORKS_MAX,
  NICS_MAX,
  PASSWORD_CHARS_MAX,
  PUBLIC_KEYS_MAX,
  RECORD_ADDRESSES_MAX,
  SECRET_ID_CHARS_MAX,
  USER_DATA_BYTES_MAX,
  VALUE_CHARS_MAX,
} from "./record-limits.ts";

/** The format of a record as it is written down. */
export const RECORD_FORMAT = 1;

/** Whether this program reads records of a format: one older, one newer. */
export function isReadableFormat(format: unknown): boolean {
  return Number.isSafeInteger(format) && Math.abs(Number(format) - RECORD_FORMAT) <= 1;
}

type Fields = Readonly<Record<string, unknown>>;

/** What a text must be, and how that is said: a pattern is nothing for people. */
interface Form {
  readonly pattern: RegExp;
  readonly rule: string;
  readonly charsMax: number;
}

/** It also names a folder of a router's state directory. */
const NETWORK_ID: Form = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  rule: "must be letters, digits, dots, dashes and underscores, a letter or digit first",
  charsMax: 64,
};
const LINE: Form = {
  pattern: /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$/,
  rule: "must be one line of text without control characters",
  charsMax: LINE_CHARS_MAX,
};
/** A line too; tabs may stand between its words. */
const PUBLIC_KEY: Form = {
  pattern: /^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]+$/,
  rule: "must be one line without control characters",
  charsMax: VALUE_CHARS_MAX,
};
const PASSWORD: Form = {
  pattern: /^[^\u0000-\u001f\u007f]+$/,
  rule: "must be one line without control characters",
  charsMax: PASSWORD_CHARS_MAX,
};
const SECRET_ID: Form = {
  pattern: /^[A-Za-z0-9._-]+$/,
  rule: "must have letters, digits, dot, dash and underscore only",
  charsMax: SECRET_ID_CHARS_MAX,
};
const SHA256_TEXT: Form = {
  pattern: SHA256,
  rule: "must be 64 hexadecimal digits in lower case",
  charsMax: 64,
};

/**
 * @param value a record, be it typed or not, with its user data in `userData`
 * @throws {RecordError} that names the first field that is wrong. Never the value of a secret one.
 */
export function parseRecord(value: unknown): InstanceRecord {
  const given = fieldsOf(value, "");
  const nics = parseNics(given.nics);
  checkNics(nics);
  const publicKeys = list(given.publicKeys ?? [], "publicKeys", PUBLIC_KEYS_MAX);
  const record: Writable<InstanceRecord> = {
    network: text(given.network, "network", NETWORK_ID),
    id: line(given.id, "id"),
    name: line(given.name, "name"),
    nics,
    keys: parseKeys(given.keys, "keys"),
    publicKeys: publicKeys.map((key, at) => text(key, `publicKeys[${at}]`, PUBLIC_KEY)),
    incarnation: count(given.incarnation, "incarnation"),
    epoch: count(given.epoch, "epoch"),
  };
  for (const name of ["account", "project", "zone", "template"] as const) {
    if (given[name] !== undefined) record[name] = line(given[name], name);
  }
  if (given.sealedIncarnation !== undefined) {
    record.sealedIncarnation = count(given.sealedIncarnation, "sealedIncarnation");
  }
  if (given.userData !== undefined) record.userData = parseBody(given.userData);
  const payloads = parsePayloads(given.payloads ?? []);
  if (payloads.length > 0) record.payloads = payloads;
  if (given.password !== undefined) record.password = parseSecret(given.password);
  return record;
}

/**
 * @param value the networks that a store knows, as `parseRecord` takes a record
 * @throws {RecordError} that names the first field that is wrong.
 */
export function parseNetworks(value: unknown): Network[] {
  const seen = new Set<string>();
  return list(value, "networks", NETWORKS_MAX).map((one, at) => {
    const field = `networks[${at}]`;
    const given = fieldsOf(one, field);
    const id = text(given.id, `${field}.id`, NETWORK_ID);
    if (seen.has(id)) throw new RecordError(field, `the network ${id} is given twice`);
    seen.add(id);
    const cidrs = list(given.cidrs, `${field}.cidrs`, CIDRS_MAX).map((cidr, at) =>
      parseRange(cidr, `${field}.cidrs[${at}]`),
    );
    if (given.dnsDomain === undefined) return { id, cidrs };
    return { id, cidrs, dnsDomain: line(given.dnsDomain, `${field}.dnsDomain`) };
  });
}

function parseRange(value: unknown, field: string): string {
  try {
    return parseCidr(String(value)).text;
  } catch (cause) {
    throw new RecordError(field, `${shown(value)} is not an address range`, { cause });
  }
}

function parseNics(value: unknown): RecordNic[] {
  const nics: RecordNic[] = [];
  let count = 0;
  for (const [at, nic] of list(value, "nics", NICS_MAX).entries()) {
    const parsed = parseNic(nic, `nics[${at}]`);
    count += parsed.addresses.length;
    // At once: what follows is not worth the time.
    if (count > RECORD_ADDRESSES_MAX) {
      throw new RecordError("nics", `have more than ${RECORD_ADDRESSES_MAX} addresses`);
    }
    nics.push(parsed);
  }
  return nics;
}

function parseNic(value: unknown, field: string): RecordNic {
  const given = fieldsOf(value, field);
  const addresses = list(given.addresses, `${field}.addresses`, ADDRESSES_MAX);
  const nic: Writable<RecordNic> = {
    addresses: addresses.map((address, at) => parseAddress(address, `${field}.addresses[${at}]`)),
    default: given.default === true,
  };
  if (given.mac !== undefined) nic.mac = parseMacOf(given.mac, `${field}.mac`);
  if (given.keys !== undefined) nic.keys = parseKeys(given.keys, `${field}.keys`);
  return nic;
}

function checkNics(nics: readonly RecordNic[]): void {
  if (nics.filter((nic) => nic.default).length > 1) {
    throw new RecordError("nics", "more than one NIC is the default one");
  }
  const seen = new Set<Ip>();
  for (const address of nics.flatMap((nic) => nic.addresses)) {
    if (seen.has(address)) throw new RecordError("nics", `${address} is given twice`);
    seen.add(address);
  }
}

function parseKeys(value: unknown, field: string): KeyValue[] {
  const seen = new Set<string>();
  return list(value, field, KEYS_MAX).map((pair, at) => {
    const refuse = (why: string): never => {
      throw new RecordError(`${field}[${at}]`, why);
    };
    if (!Array.isArray(pair) || pair.length !== 2) return refuse("must be a name and a value");
    const [name, content] = pair as [unknown, unknown];
    if (typeof name !== "string" || !KEY_NAME.test(name)) {
      return refuse("is no key name: letters, digits, dot, dash and underscore");
    }
    if (seen.has(name)) return refuse(`the key ${name} is given twice`);
    seen.add(name);
    if (content === null) return [name, null] as const;
    if (typeof content !== "string") return refuse(`${name} must be text or null`);
    if (content.length > VALUE_CHARS_MAX) {
      return refuse(`${name} is longer than ${VALUE_CHARS_MAX} characters`);
    }
    return [name, content] as const;
  });
}

function parseBody(value: unknown): Body {
  const body = value as Partial<Body> | null;
  const isBody =
    value instanceof Uint8Array ||
    (typeof body === "object" &&
      body !== null &&
      typeof (body as Fields).hash === "string" &&
      typeof (body as Fields).read === "function");
  if (!isBody) throw new RecordError("userData", "must be bytes");
  const { length } = value as Body;
  if (length > USER_DATA_BYTES_MAX) {
    const limit = `the limit is ${USER_DATA_BYTES_MAX}`;
    throw new RecordError("userData", `has ${length} bytes; ${limit}`);
  }
  return value as Body;
}

/** Their names only: the content is the store's. None and an empty list are the same. */
function parsePayloads(value: unknown): PayloadRef[] {
  const seen = new Set<string>();
  return list(value, "payloads", PAYLOADS_OF_RECORD_MAX).map((one, at) => {
    const field = `payloads[${at}]`;
    const given = fieldsOf(one, field);
    const sha256 = text(given.sha256, `${field}.sha256`, SHA256_TEXT);
    const bytes = count(given.bytes, `${field}.bytes`);
    if (bytes > PAYLOAD_BYTES_MAX) {
      throw new RecordError(`${field}.bytes`, `is more than ${PAYLOAD_BYTES_MAX}`);
    }
    if (seen.has(sha256)) throw new RecordError(field, "is given twice");
    seen.add(sha256);
    return { sha256, bytes };
  });
}

function parseSecret(value: unknown): Secret {
  const given = fieldsOf(value, "password");
  return {
    id: text(given.id, "password.id", SECRET_ID),
    password: text(given.password, "password.password", PASSWORD),
  };
}

function parseAddress(value: unknown, field: string): Ip {
  const address = tryParseIp(value);
  if (address === undefined) throw new RecordError(field, `${shown(value)} is not an IP address`);
  return address;
}

function parseMacOf(value: unknown, field: string): Mac {
  const mac = tryParseMac(value);
  if (mac === undefined) throw new RecordError(field, `${shown(value)} is not a MAC address`);
  return mac;
}

function fieldsOf(value: unknown, field: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new RecordError(field, field === "" ? "a record must have fields" : "must have fields");
}

function list(value: unknown, field: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new RecordError(field, "must be a list");
  if (value.length > countMax) throw new RecordError(field, `has more than ${countMax} entries`);
  return value;
}

/** Whether a text can be an id or a name of a record. */
export function isLine(value: string): boolean {
  return value.length <= LINE.charsMax && LINE.pattern.test(value);
}

function line(value: unknown, field: string): string {
  return text(value, field, LINE);
}

function text(value: unknown, field: string, { pattern, rule, charsMax }: Form): string {
  if (typeof value !== "string") throw new RecordError(field, "must be text");
  if (value.length > charsMax) {
    throw new RecordError(field, `is longer than ${charsMax} characters`);
  }
  // The value is not shown: it may be a password.
  if (!pattern.test(value)) throw new RecordError(field, value === "" ? "is empty" : rule);
  return value;
}

function count(value: unknown, field: string): number {
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= COUNT_MAX) {
    return Number(value);
  }
  throw new RecordError(field, `must be a whole number from 1 to ${COUNT_MAX}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? quote(value) : "what is given";
}
