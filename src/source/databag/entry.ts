/**
 * One instance's metadata, from CloudStack's list of [folder, file, contents] to what a guest sees.
 *
 * Nothing that a tenant chose can do harm here: names that are not served and values that are no
 * text are left out and reported, and the rest of the instance is as it would be without them.
 */

import type { Ip } from "../../model/address.ts";
import { type Body, KEY_NAME, type KeyValue } from "../../model/binding.ts";
import { quote } from "../../model/errors.ts";
import { contentHash } from "../../protocol/etag.ts";
import { readItems } from "./items.ts";
import {
  KEYS_MAX,
  SHARED_LENGTH_MAX,
  SHARED_PAIRS_MAX,
  SHARED_VALUES_MAX,
  VALUE_LENGTH_MAX,
} from "./limits.ts";
import { decodeUserData } from "./user-data.ts";

/** What an instance's metadata says, without the address and the network that it is served at. */
export interface Content {
  readonly instance: string;
  readonly name: string;
  readonly keys: readonly KeyValue[];
  readonly userData?: Body;
  /** What was left out, if anything was. */
  readonly flaws?: Flaws;
}

export interface Flaws {
  /** Keys that are not served, and why, as one sentence; `undefined` if all are. */
  readonly keys: string | undefined;
  readonly userData: boolean;
}

type Item = readonly [folder: string, file: string, contents: unknown];

/** How many keys a report names. */
const REPORTED_MAX = 8;

/** @returns `undefined` if `value` is not a list of [folder, file, contents]. */
export function readContent(value: unknown, address: Ip): Content | undefined {
  if (!isItems(value)) return undefined;
  const draft = new Draft();
  for (const [folder, file, contents] of value) draft.add(folder, file, contents);
  return draft.finish(address);
}

/**
 * The same from JSON text, of which `JSON.parse` would make much that is thrown away.
 *
 * @throws {SyntaxError} if it is no JSON.
 */
export function parseContent(raw: Buffer, address: Ip): Content | undefined {
  const draft = new Draft();
  const isRead = readItems(raw, (folder, file, contents) => draft.add(folder, file, contents));
  return isRead ? draft.finish(address) : readContent(JSON.parse(raw.toString()), address);
}

/** What an instance's items have come to so far. */
class Draft {
  readonly #texts = new Map<string, string | null>();
  readonly #refused: string[] = [];
  #encoded: unknown = null;

  add(folder: string, file: string, contents: unknown): void {
    if (folder === "userdata" && file === "user-data") this.#encoded = contents;
    if (folder !== "metadata" || file === "") return;
    const flaw = flawOf(file, contents, this.#texts);
    if (flaw === undefined) this.#texts.set(file, contents === null ? null : String(contents));
    else this.#refused.push(flaw);
  }

  finish(address: Ip): Content {
    const texts = this.#texts;
    // CloudStack takes an empty value for "there is none"; but of keys a guest may have none.
    for (const [name, text] of texts) {
      if (text === "" && name !== "public-keys") texts.delete(name);
    }
    const userData = userDataOf(this.#encoded);
    const instance =
      firstLine(texts.get("instance-id")) ?? firstLine(texts.get("vm-id")) ?? `address:${address}`;
    const content = {
      instance,
      name: firstLine(texts.get("local-hostname")) ?? instance,
      keys: shared(texts, address),
      ...(userData instanceof Uint8Array ? { userData } : {}),
    };
    if (this.#refused.length === 0 && userData !== "invalid") return content;
    const flaws = { keys: summary(this.#refused), userData: userData === "invalid" };
    return { ...content, flaws };
  }
}

/**
 * Equal for contents between which a guest sees no difference: 48 bits, because it need only tell
 * one content of an address from the next. `undefined` where the user data lies on the disk.
 */
export function hashOf({ keys, userData }: Content): number | undefined {
  if (userData !== undefined && !(userData instanceof Uint8Array)) return undefined;
  const data = userData === undefined ? "" : contentHash(userData);
  const hash = contentHash(`${JSON.stringify(keys)}${data}`);
  return Buffer.from(hash, "base64url").readUIntBE(0, 6);
}

function isItems(value: unknown): value is readonly Item[] {
  if (!Array.isArray(value)) return false;
  return value.every(
    (item) =>
      Array.isArray(item) &&
      item.length === 3 &&
      typeof item[0] === "string" &&
      typeof item[1] === "string",
  );
}

/** Why a key is not served, as a part of a sentence. */
function flawOf(
  name: string,
  contents: unknown,
  known: ReadonlyMap<string, unknown>,
): string | undefined {
  if (!KEY_NAME.test(name)) return quote(name);
  if (known.size >= KEYS_MAX && !known.has(name)) return `${quote(name)} (over ${KEYS_MAX} keys)`;
  if (typeof contents === "object" && contents !== null) return `${quote(name)} (not a text)`;
  const isLong = typeof contents === "string" && contents.length > VALUE_LENGTH_MAX;
  return isLong ? `${quote(name)} (over ${VALUE_LENGTH_MAX} characters)` : undefined;
}

function summary(refused: readonly string[]): string | undefined {
  if (refused.length === 0) return undefined;
  const rest = refused.length - REPORTED_MAX;
  const named = refused.slice(0, REPORTED_MAX).join(", ");
  return rest > 0 ? `${named}, and ${rest} more` : named;
}

function userDataOf(encoded: unknown): Uint8Array | "invalid" | undefined {
  if (encoded === null || encoded === "") return undefined;
  if (typeof encoded !== "string") return "invalid";
  return decodeUserData(encoded) ?? "invalid";
}

function firstLine(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined) return undefined;
  const end = text.search(/[\r\n]/);
  return (end === -1 ? text : text.slice(0, end)) || undefined;
}

/** Keys whose values differ from instance to instance: to look for equal ones is lost time. */
const OWN = new Set([
  "instance-id",
  "vm-id",
  "local-hostname",
  "local-ipv4",
  "public-hostname",
  "public-ipv4",
]);

/** Pairs that many instances have, by name and value: kept once, as long as there is room. */
const pairs = new Map<string, Map<string | null, KeyValue>>();
let pairsCount = 0;

/** The keys, with equal strings and pairs shared between instances and within one. */
function shared(texts: ReadonlyMap<string, string | null>, address: Ip): KeyValue[] {
  const own = new Map<string, string>([[address, address]]);
  const keys: KeyValue[] = [];
  for (const [name, text] of texts) {
    let known = pairs.get(name);
    if (known === undefined && pairsCount < SHARED_PAIRS_MAX) {
      known = new Map([[null, [name, null]]]);
      pairs.set(name, known);
      pairsCount++;
    }
    const nameOnce = known?.get(null)?.[0] ?? name;
    if (text !== null && OWN.has(name)) {
      const once = own.get(text) ?? text;
      own.set(once, once);
      keys.push([nameOnce, once]);
      continue;
    }
    const former = known?.get(text);
    const pair = former ?? ([nameOnce, text] as const);
    keys.push(pair);
    if (former !== undefined || known === undefined || text === null) continue;
    if (text.length > SHARED_LENGTH_MAX || known.size > SHARED_VALUES_MAX) continue;
    if (pairsCount >= SHARED_PAIRS_MAX) continue;
    known.set(text, pair);
    pairsCount++;
  }
  return keys;
}
