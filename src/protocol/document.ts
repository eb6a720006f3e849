/**
 * What one binding answers with, ready to be sent.
 *
 * Ten thousand instances mostly have the same keys, so the names, their index and the listing are
 * one `Shape` that they share; each has only its values.
 */

import type { Body, KeyValue } from "../model/binding.ts";
import type { Payload } from "../model/payload.ts";
import { contentHash } from "./etag.ts";
import { KEYS } from "./keys.ts";

/** The keys of an instance, without their values. */
export interface Shape {
  readonly names: readonly string[];
  /** Position of each name. */
  readonly index: ReadonlyMap<string, number>;
  /** One name a line, with a final newline. */
  readonly listing: string;
}

export interface Document {
  readonly shape: Shape;
  /** Beside `shape.names`. `null`: known, without a value. */
  readonly values: readonly (string | null)[];
  readonly userData: Body | undefined;
  /** What this guest may fetch beside it, and no other guest. */
  readonly payloads: readonly Payload[] | undefined;
  /** Validator of the user data, made when first asked for. Quoted. */
  userDataEtag: string | undefined;
  /** Validator of the whole instance, made when first asked for. Quoted. */
  wholeEtag: string | undefined;
}

/** A host name of more than one line was cut. */
export interface Rendered {
  readonly document: Document;
  readonly hostNameCut: boolean;
}

/** More shapes than this are not shared: tenants choose key names, and must not fill our memory. */
const SHAPES_MAX = 4096;

/** Shapes in use, so that equal ones are one. */
export class Shapes {
  readonly #known = new Map<string, Shape>();
  #last: Shape | undefined;

  of(names: readonly string[]): Shape {
    // One after the other mostly have the same: then nothing is built.
    if (this.#last !== undefined && isEqual(this.#last.names, names)) return this.#last;
    this.#last = this.#find(names);
    return this.#last;
  }

  #find(names: readonly string[]): Shape {
    const listing = `${names.join("\n")}\n`;
    const known = this.#known.get(listing);
    if (known !== undefined) return known;
    const index = new Map(names.map((name, position) => [name, position]));
    const shape = { names, index, listing };
    // When full, start over: old shapes live as long as their instances, new ones are shared again.
    if (this.#known.size >= SHAPES_MAX) this.#known.clear();
    this.#known.set(listing, shape);
    return shape;
  }
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Renders one binding's keys.
 *
 * Values go out as they came but for one run of CR and LF at the end: `"web01\n"` is a list to
 * cloud-init, and its data source dies of that. A host name is cut at its first inner newline.
 * `public-keys` is always there, because its absence stops cloudbase-init.
 */
export function render(
  keys: readonly KeyValue[],
  userData: Body | undefined,
  shapes: Shapes,
): Rendered {
  const names: string[] = [];
  const values: (string | null)[] = [];
  let hostNameCut = false;
  for (const [name, raw] of keys) {
    let value = raw === null ? null : trimEnd(raw);
    if (name === "local-hostname" && value !== null && /[\r\n]/.test(value)) {
      value = value.split(/[\r\n]/, 1)[0] ?? "";
      hostNameCut = true;
    }
    names.push(name);
    values.push(value);
  }
  if (!names.includes("public-keys")) insertPublicKeys(names, values);
  const shape = shapes.of(names);
  const etags = { userDataEtag: undefined, wholeEtag: undefined };
  const document = { shape, values, userData, payloads: undefined, ...etags };
  return { document, hostNameCut };
}

/** The keys of a document, as a binding has them. */
export function keysOf(document: Document): readonly KeyValue[] {
  return document.shape.names.map((name, position) => [name, document.values[position] ?? null]);
}

/** The value of a key: `null` when it has none, `undefined` when there is no such key. O(1). */
export function lookUp(document: Document, name: string): string | null | undefined {
  const position = document.shape.index.get(name);
  return position === undefined ? undefined : document.values[position];
}

/** Validator of the user data. */
export function userDataEtag(document: Document): string {
  document.userDataEtag ??= `"${hashOf(document.userData)}"`;
  return document.userDataEtag;
}

/**
 * Validator of all that an instance is: equal exactly when every key and the user data are equal.
 * The listing of the keys carries it, so that a crawl that saw two states can be told.
 */
export function wholeEtag(document: Document): string {
  const whole = () => [document.shape.names, document.values, hashOf(document.userData)];
  document.wholeEtag ??= `"${contentHash(JSON.stringify(whole()))}"`;
  return document.wholeEtag;
}

function hashOf(body: Body | undefined): string {
  if (body === undefined) return contentHash("");
  return body instanceof Uint8Array ? contentHash(body) : body.hash;
}

function trimEnd(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === "\n" || value[end - 1] === "\r")) end--;
  return end === value.length ? value : value.slice(0, end);
}

/** Behind the last key that CloudStack sends before it. */
function insertPublicKeys(names: string[], values: (string | null)[]): void {
  const order = Object.keys(KEYS);
  const before = order.slice(0, order.indexOf("public-keys"));
  const position = 1 + Math.max(...before.map((name) => names.indexOf(name)), -1);
  const at = position === 0 ? names.length : position;
  names.splice(at, 0, "public-keys");
  values.splice(at, 0, null);
}
