/**
 * The local cache of the metadata: one JSON file, as it is read.
 *
 * It is believed only when it is ours or root's and nobody else can write it: what `get --cached`
 * answers must not be another user's invention.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { GuestError, quote, UsageError } from "../model/errors.ts";
import { VIAS, type Via } from "./endpoint.ts";
import { CACHE_BYTES_MAX } from "./limits.ts";
import type { Snapshot, Tree, UserData } from "./tree.ts";

export const CACHE_FORMAT = 1;
const NAME = "metadata.json";
/** Writable by its group or by others. */
const OTHERS_WRITE = 0o022;

export interface CacheFile {
  readonly format: typeof CACHE_FORMAT;
  /** ISO 8601, UTC. */
  readonly fetchedAt: string;
  readonly endpoint: string;
  readonly via: Via;
  readonly etag: string | null;
  readonly metaData: Tree;
  /** Only when it was asked for and there is some. */
  readonly userData?: UserData;
}

/** Who runs this, as far as files are concerned. */
export interface Identity {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function identity(): Identity {
  return { uid: process.getuid?.() ?? 0, env: process.env };
}

/**
 * Where the cache is written: /run/metadata.json by root, else in the user's own folder.
 *
 * @throws {UsageError} for a user who has no such folder.
 */
export function cachePath({ uid, env }: Identity): string {
  if (uid === 0) return `/run/${NAME}`;
  const folder = env.XDG_RUNTIME_DIR ?? "";
  if (!folder.startsWith("/")) {
    throw new UsageError("without root and without XDG_RUNTIME_DIR, say --output FILE");
  }
  return `${folder}/${NAME}`;
}

export interface FoundCache {
  readonly path: string;
  readonly cache: CacheFile;
}

/**
 * The caches that may answer, best first: the one that is named, else one's own and the machine's.
 * The machine's may not be meant for this user; then there is none.
 *
 * @throws {GuestError} as `readCache`.
 */
export function* findCaches(identity: Identity, file: string | undefined): Generator<FoundCache> {
  for (const path of file === undefined ? cachePaths(identity) : [file]) {
    const cache = readCache(path, identity.uid, { mayBeDenied: file === undefined });
    if (cache !== undefined) yield { path, cache };
  }
}

/** Where a cache may lie, best first: one's own, then the machine's. */
export function cachePaths({ uid, env }: Identity): readonly string[] {
  const own = env.XDG_RUNTIME_DIR ?? "";
  return uid === 0 || !own.startsWith("/") ? [`/run/${NAME}`] : [`${own}/${NAME}`, `/run/${NAME}`];
}

/** The text of a cache file. */
export function renderCache(
  snapshot: Snapshot,
  about: Pick<CacheFile, "fetchedAt" | "endpoint" | "via">,
): string {
  const { etag = null, metaData, userData } = snapshot;
  const file: CacheFile = {
    format: CACHE_FORMAT,
    fetchedAt: about.fetchedAt,
    endpoint: about.endpoint,
    via: about.via,
    etag,
    metaData,
    ...(userData === undefined ? {} : { userData }),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * Reads a cache; `undefined` when there is none.
 *
 * @throws {GuestError} when somebody else owns or can write it, or when it is no cache of ours.
 */
export function readCache(
  path: string,
  uid: number,
  { mayBeDenied = false }: { readonly mayBeDenied?: boolean } = {},
): CacheFile | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EACCES" && mayBeDenied) return undefined;
    const why = code === "ELOOP" ? "it is a symbolic link" : String(code);
    throw new GuestError("CACHE_UNREADABLE", `${path} cannot be read: ${why}`);
  }
  try {
    const { uid: owner, mode, size, isFile } = describe(file);
    if (!isFile) throw unsafe(path, "it is no regular file");
    if (owner !== 0 && owner !== uid) throw unsafe(path, `user ${owner} owns it`);
    if ((mode & OTHERS_WRITE) !== 0) throw unsafe(path, "others can write it");
    if (size > CACHE_BYTES_MAX) throw unsafe(path, "it is too large");
    return parse(path, readFileSync(file, "utf8"));
  } finally {
    closeSync(file);
  }
}

function describe(file: number) {
  const stat = fstatSync(file);
  return { uid: stat.uid, mode: stat.mode, size: stat.size, isFile: stat.isFile() };
}

function unsafe(path: string, why: string): GuestError {
  return new GuestError("CACHE_UNSAFE", `${path} is not used: ${why}`);
}

function parse(path: string, text: string): CacheFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GuestError("CACHE_UNREADABLE", `${path} is not JSON`, { cause });
  }
  const file = value as Partial<CacheFile> | null;
  if (typeof file !== "object" || file === null || file.format !== CACHE_FORMAT) {
    const format = quote(String(file?.format));
    throw new GuestError("CACHE_UNREADABLE", `${path} has format ${format}, not ${CACHE_FORMAT}`);
  }
  const isRight =
    typeof file.fetchedAt === "string" &&
    typeof file.endpoint === "string" &&
    VIAS.some((via) => via === file.via) &&
    isTree(file.metaData);
  if (!isRight) throw new GuestError("CACHE_UNREADABLE", `${path} is no metadata cache`);
  return file as CacheFile;
}

function isTree(value: unknown): value is Tree {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((inner) => typeof inner === "string" || isTree(inner));
}
