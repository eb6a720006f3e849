/**
 * From the target of a request to what it asks for, on exact bytes and without `new URL`.
 *
 * The forms that clients really send are found in one look-up. All others go through one
 * canonical form: `//` collapses, dot segments are resolved, `\` is `/`, escapes of unreserved
 * characters are decoded once (RFC 3986 section 6.2.2). Canonicalising twice changes nothing.
 */

import { KEY_NAME } from "../model/binding.ts";
import { SHA256 } from "../model/payload.ts";
import { KEYS, RESERVED } from "./keys.ts";

export type Route =
  /** `/` */
  | { readonly kind: "root" }
  /** `/latest/` */
  | { readonly kind: "latest" }
  /** `/latest/meta-data/`: the keys. */
  | { readonly kind: "listing" }
  | { readonly kind: "key"; readonly name: string }
  | { readonly kind: "user-data" }
  /** `payloads/SHA256/PART` */
  | { readonly kind: "payload"; readonly sha256: string; readonly part: number }
  /** `public-keys/`: the EC2 form, with the slash. */
  | { readonly kind: "key-names" }
  /** `public-keys/0` */
  | { readonly kind: "key-forms"; readonly index: number }
  /** `public-keys/0/openssh-key` */
  | { readonly kind: "openssh-key"; readonly index: number }
  | { readonly kind: "nothing" };

/** For logs and metrics: what was asked for, from a closed set. */
export type PathClass = Route["kind"];

/** Longer targets ask for nothing that exists. Characters; the longest real one is under 100. */
const TARGET_MAX = 2048;

/** The number of a part, in the one spelling that it has. */
const PART = /^(0|[1-9][0-9]{0,3})$/;

const NOTHING: Route = { kind: "nothing" };
const PREFIXES = ["/latest/meta-data", "/latest/metadata"];

/** What clients really send, spelled as they spell it: found without parsing. */
const USUAL: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/", { kind: "root" }],
  ["/latest", { kind: "latest" }],
  ["/latest/", { kind: "latest" }],
  ["/latest/user-data", { kind: "user-data" }],
  ...PREFIXES.flatMap((prefix): [string, Route][] => [
    [prefix, { kind: "listing" }],
    [`${prefix}/`, { kind: "listing" }],
    [`${prefix}/public-keys/`, { kind: "key-names" }],
    [`${prefix}/public-keys/0/openssh-key`, { kind: "openssh-key", index: 0 }],
  ]),
  ...Object.keys(KEYS).flatMap((name): [string, Route][] =>
    [...PREFIXES, "/latest"].map((prefix) => [`${prefix}/${name}`, { kind: "key", name }]),
  ),
]);

/** What a request's target asks for. Never throws; O(length of the target). */
export function route(target: string): Route {
  const usual = USUAL.get(target);
  if (usual !== undefined) return usual;
  if (target.length > TARGET_MAX) return NOTHING;
  const path = canonicalPath(target);
  const usualAfterAll = USUAL.get(path);
  if (usualAfterAll !== undefined) return usualAfterAll;
  const slash = path.endsWith("/");
  return find(path.slice(1, slash ? -1 : undefined).split("/"), slash);
}

/**
 * The one spelling of a path: without query, with single slashes, without dot segments.
 *
 * `/latest//meta-data/./x/..` becomes `/latest/meta-data/`. An escaped slash stays escaped, so
 * it never separates.
 */
export function canonicalPath(target: string): string {
  const end = target.search(/[?#]/);
  const path = (end === -1 ? target : target.slice(0, end))
    .replace(/%([0-9A-Fa-f]{2})?/g, decodeUnreserved)
    .replaceAll("\\", "/");
  // Dots are resolved before empty segments go: so does a runtime that has resolved them already.
  const segments: string[] = [];
  const parts = path.replace(/^\//, "").split("/");
  for (const [place, part] of parts.entries()) {
    if (part === "..") segments.pop();
    else if (part !== ".") segments.push(part);
    // A path that ends in a dot segment is a folder.
    if (place === parts.length - 1 && (part === "." || part === "..")) segments.push("");
  }
  return `/${segments.join("/")}`.replace(/\/{2,}/g, "/");
}

function decodeUnreserved(sequence: string): string {
  // A percent sign that escapes nothing is escaped itself, or a second pass would decode more.
  if (sequence === "%") return "%25";
  const character = String.fromCharCode(Number.parseInt(sequence.slice(1), 16));
  return /[A-Za-z0-9._~-]/.test(character) ? character : sequence;
}

/** Key names are case-sensitive, the rest of the path is not, as on the virtual router. */
function find(segments: readonly string[], slash: boolean): Route {
  const [version = "", folder = "", ...rest] = segments;
  if (version.toLowerCase() !== "latest") return NOTHING;
  switch (folder.toLowerCase()) {
    case "":
      return { kind: "latest" };
    case "user-data":
      return rest.length === 0 ? { kind: "user-data" } : NOTHING;
    case "meta-data":
    case "metadata":
      return rest.length === 0 ? { kind: "listing" } : findKey(rest, slash);
    case "payloads":
      return rest.length === 0 ? findKey([folder], slash) : findPart(rest);
    default:
      return RESERVED.has(folder) ? NOTHING : findKey(segments.slice(1), slash);
  }
}

/** Digits and letters are compared as they are: a payload has one name. */
function findPart([sha256 = "", part = "", ...rest]: readonly string[]): Route {
  if (!SHA256.test(sha256) || !PART.test(part) || rest.length > 0) return NOTHING;
  return { kind: "payload", sha256, part: Number(part) };
}

function findKey([name = "", index, form, ...rest]: readonly string[], slash: boolean): Route {
  if (name === "public-keys" && (slash || index !== undefined)) {
    if (index === undefined) return { kind: "key-names" };
    if (!/^(0|[1-9][0-9]{0,3})$/.test(index) || rest.length > 0) return NOTHING;
    if (form === undefined) return { kind: "key-forms", index: Number(index) };
    if (form.toLowerCase() !== "openssh-key") return NOTHING;
    return { kind: "openssh-key", index: Number(index) };
  }
  return index === undefined && KEY_NAME.test(name) ? { kind: "key", name } : NOTHING;
}
