/**
 * One look at one path: found, absent, or why nobody can say.
 */

import { GuestError } from "../model/errors.ts";
import { type CacheFile, findCaches, type Identity } from "./cache-file.ts";
import type { Endpoint, Via } from "./endpoint.ts";
import { USER_DATA_BYTES_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import type { Where } from "./options.ts";
import { keyPathOf, USER_DATA_TARGET } from "./path.ts";
import { lookUp, type Tree } from "./tree.ts";

export interface Answered {
  readonly target: string;
  /** `undefined`: absent. Length 0: there, and empty. */
  readonly body: Buffer | undefined;
  readonly endpoint: string;
  readonly via: Via;
  readonly source?: string;
  /** From the cache: when that was read from the service. */
  readonly fetchedAt?: string;
}

/**
 * Asks the service.
 *
 * @throws {GuestError} when nobody answers, or answers neither with it nor with 404.
 */
export async function readRemote(
  target: string,
  where: Where,
  signal: AbortSignal,
): Promise<Answered> {
  // Loaded when it is needed: an answer from the cache does without the network.
  const [{ find }, { explain }] = await Promise.all([
    import("./discover.ts"),
    import("./report.ts"),
  ]);
  const { discovery, client } = await find(where, signal);
  const { chosen } = discovery;
  if (client === undefined || chosen === undefined) {
    throw new GuestError("ENDPOINT_NONE", explain(discovery));
  }
  try {
    const bytesMax = target === USER_DATA_TARGET ? USER_DATA_BYTES_MAX : VALUE_BYTES_MAX;
    const timeoutMs = Math.max(where.timeoutMs - discovery.ms, 1);
    const asked = await client.get(target, { bytesMax, timeoutMs }, signal);
    if (asked.kind === "reply" && (asked.status === 200 || asked.status === 404)) {
      return { target, body: asked.status === 200 ? asked.body : undefined, ...placeOf(chosen) };
    }
    const what =
      asked.kind === "reply" ? `status ${asked.status}` : `${asked.kind} (${asked.code})`;
    throw new GuestError("ENDPOINT_FAILED", `${chosen.url} answers ${what} to ${target}`);
  } finally {
    client.close();
  }
}

function placeOf({ url, via, source }: Endpoint): Pick<Answered, "endpoint" | "via" | "source"> {
  return { endpoint: url, via, ...(source === undefined ? {} : { source }) };
}

/**
 * Looks it up in the local cache; `undefined` when there is none, or when it holds no such thing as
 * this: user data that was left out, another part of the tree.
 *
 * @throws {GuestError} when there is a cache that cannot be believed.
 */
export function readCached(
  target: string,
  { identity, file }: { readonly identity: Identity; readonly file: string | undefined },
): Answered | undefined {
  for (const { path, cache } of findCaches(identity, file)) {
    const found = lookUpIn(cache, target);
    if (found === undefined) continue;
    const { endpoint, via, fetchedAt } = cache;
    return { target, body: found.body, endpoint, via, source: path, fetchedAt };
  }
  return undefined;
}

function lookUpIn(cache: CacheFile, target: string): { body: Buffer | undefined } | undefined {
  if (target === USER_DATA_TARGET) {
    const { userData } = cache;
    if (userData === undefined) return undefined;
    const isText = "text" in userData;
    const text = isText ? userData.text : userData.base64;
    return { body: Buffer.from(text, isText ? "utf8" : "base64") };
  }
  const path = keyPathOf(target);
  if (path === undefined) return undefined;
  const value = lookUp(cache.metaData, path);
  if (value === undefined) return { body: undefined };
  return { body: Buffer.from(typeof value === "string" ? value : listingOf(value)) };
}

/** As a service lists it. */
function listingOf(tree: Tree): string {
  const names = Object.entries(tree);
  return names.map(([name, value]) => `${name}${typeof value === "string" ? "" : "/"}\n`).join("");
}
