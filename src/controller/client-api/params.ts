/**
 * What a command takes: a small schema, one line a parameter, and the values that come of it.
 *
 * Parameters that a command does not know are ignored, as CloudStack ignores them. An empty value
 * is one that is not there, but for `body`, which it clears.
 */

import { type Ip, type Mac, tryParseIp, tryParseMac } from "../../model/address.ts";
import { refuse } from "./errors.ts";
import { LIST_MAX, TEXT_CHARS_MAX } from "./limits.ts";

interface Kinds {
  /** One line, 255 characters unless the parameter has a limit of its own. */
  readonly text: string;
  /** Several, with commas between. */
  readonly list: readonly string[];
  readonly flag: boolean;
  readonly count: number;
  readonly address: Ip;
  readonly mac: Mac;
  /** `name[0].key=value`, in the order of the numbers. */
  readonly map: readonly (readonly [key: string, value: string])[];
  /** `name[0].key=value&name[0].other=value` is one row. In the order of the numbers. */
  readonly rows: readonly ReadonlyMap<string, string>[];
  /** Kept as it is, also when it is empty. Who asks for it limits it. */
  readonly body: string;
}

export interface Param {
  readonly kind: keyof Kinds;
  readonly required?: true;
  readonly charsMax?: number;
}

export type Schema = Readonly<Record<string, Param>>;

export type Values<S extends Schema> = {
  readonly [Name in keyof S]: S[Name] extends { readonly required: true }
    ? Kinds[S[Name]["kind"]]
    : Kinds[S[Name]["kind"]] | undefined;
};

/** @param given by names in lower case @throws {ClientApiError} 431 that names the parameter */
export function readParams<S extends Schema>(
  schema: S,
  given: ReadonlyMap<string, string>,
): Values<S> {
  const values: Record<string, unknown> = {};
  for (const [name, param] of Object.entries(schema)) {
    const value = readOne(name, param, given);
    if (value === undefined && param.required) {
      throw refuse("parameter", `The parameter ${name} is missing`);
    }
    values[name] = value;
  }
  return values as Values<S>;
}

function readOne(name: string, param: Param, given: ReadonlyMap<string, string>): unknown {
  if (param.kind === "map") return mapOf(name, given);
  if (param.kind === "rows") return rowsOf(name, given);
  const text = given.get(name);
  if (param.kind === "body") return text;
  if (text === undefined || text === "") return undefined;
  const charsMax = param.charsMax ?? TEXT_CHARS_MAX * (param.kind === "list" ? LIST_MAX : 1);
  if (text.length > charsMax) {
    throw refuse("parameter", `The parameter ${name} is longer than ${charsMax} characters`);
  }
  const value = readAs(param.kind, text);
  if (value === undefined)
    throw refuse("parameter", `The parameter ${name} is not ${A[param.kind]}`);
  return value;
}

const A = {
  text: "one line of text",
  list: `a list of ${LIST_MAX} at most`,
  flag: "true or false",
  count: "a whole number from 1",
  address: "an IP address",
  mac: "a MAC address",
} as const;

function readAs(kind: keyof typeof A, text: string): unknown {
  switch (kind) {
    case "text":
      return isLine(text) ? text : undefined;
    case "list": {
      const items = text.split(",").map((item) => item.trim());
      const isGood = items.length <= LIST_MAX && items.every((item) => item !== "" && isLine(item));
      return isGood ? items : undefined;
    }
    case "flag": {
      const word = text.toLowerCase();
      return word === "true" || word === "false" ? word === "true" : undefined;
    }
    case "count":
      return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
    case "address":
      return tryParseIp(text);
    case "mac":
      return tryParseMac(text);
  }
}

function isLine(text: string): boolean {
  return /^[^\p{Cc}\u2028\u2029]*$/u.test(text);
}

interface Pair {
  readonly at: number;
  readonly key: string;
  readonly value: string;
}

/** `name[0].key=value`, in the order of the numbers. Several may have one number. */
function pairsOf(name: string, given: ReadonlyMap<string, string>): readonly Pair[] | undefined {
  const found: Pair[] = [];
  for (const [param, value] of given) {
    if (param !== name && !param.startsWith(`${name}[`)) continue;
    const [, at, key = ""] = /^\[(0|[1-9]\d{0,2})\]\.(.+)$/.exec(param.slice(name.length)) ?? [];
    if (at === undefined || !isLine(key) || !isLine(value) || value.length > TEXT_CHARS_MAX) {
      const limit = `${TEXT_CHARS_MAX} characters`;
      throw refuse("parameter", `The parameter ${name} must be ${name}[0].key=value, in ${limit}`);
    }
    found.push({ at: Number(at), key, value: value.trim() });
  }
  if (found.length === 0) return undefined;
  if (found.length > LIST_MAX) throw refuse("parameter", `${name} has over ${LIST_MAX} pairs`);
  return found.sort((a, b) => a.at - b.at);
}

/** `details[0].key=value`; `details[0].key=a&details[0].other=b` is one map with two keys. */
function mapOf(
  name: string,
  given: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] | undefined {
  const pairs = pairsOf(name, given);
  return pairs && [...new Map(pairs.map(({ key, value }) => [key, value]))];
}

function rowsOf(
  name: string,
  given: ReadonlyMap<string, string>,
): readonly ReadonlyMap<string, string>[] | undefined {
  const rows = new Map<number, Map<string, string>>();
  const pairs = pairsOf(name, given);
  for (const { at, key, value } of pairs ?? []) {
    rows.set(at, (rows.get(at) ?? new Map()).set(key, value));
  }
  return pairs && [...rows.values()];
}
