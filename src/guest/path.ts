/**
 * What a person may write for a path, and what is asked for then.
 *
 * `instance-id`, `meta-data/instance-id` and `/latest/meta-data/instance-id` are one. `metadata` is
 * `meta-data`: CloudStack's own router knows only the latter.
 */

import { quote, UsageError } from "../model/errors.ts";
/** What every service of this kind answers, with the slash that some insist on. */
export const LISTING_TARGET = "/latest/meta-data/";
export const USER_DATA_TARGET = "/latest/user-data";

const PATH_CHARS_MAX = 1024;
const VERSION = /^(?:latest|1\.0|\d{4}-\d{2}-\d{2})$/;
const FOLDERS: ReadonlySet<string> = new Set(["meta-data", "user-data", "dynamic"]);

/**
 * The target of a request. A folder ends in a slash.
 *
 * @throws {UsageError} for what is no path: spaces, control characters, dot segments, a query.
 */
export function targetOf(path: string): string {
  if (path.length > PATH_CHARS_MAX || !/^[\x21-\x7e]*$/.test(path) || /[?#\\%]/.test(path)) {
    throw new UsageError(`not a metadata path: ${quote(path)}`);
  }
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.some((part) => part === "." || part === "..")) {
    throw new UsageError(`a metadata path has no dot segments: ${quote(path)}`);
  }
  const version = VERSION.test(parts[0] ?? "") ? parts.shift() : undefined;
  if (parts.length === 0) return version === undefined ? LISTING_TARGET : `/${version}/`;
  if (parts[0] === "metadata") parts[0] = "meta-data";
  // With a version everything is spelled out; without one a bare name is a key.
  if (version === undefined && !FOLDERS.has(parts[0] ?? "")) parts.unshift("meta-data");
  const isFolder = path.endsWith("/") || (parts.length === 1 && parts[0] === "meta-data");
  const isUserData = parts.length === 1 && parts[0] === "user-data";
  const end = isFolder && !isUserData ? "/" : "";
  return `/${version ?? "latest"}/${parts.map(encode).join("/")}${end}`;
}

/** The parts of a target below `/latest/meta-data/`; `undefined` when it lies elsewhere. */
export function keyPathOf(target: string): readonly string[] | undefined {
  if (!target.startsWith(LISTING_TARGET)) return undefined;
  const rest = target.slice(LISTING_TARGET.length);
  return rest
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
}

/** A name as it goes into a target: what means something there is escaped. */
export function encode(name: string): string {
  return encodeURIComponent(name).replace(/%(?:3A|40|2B|2C|3D)/g, decodeURIComponent);
}
