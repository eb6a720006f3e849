/**
 * Reads the whole tree of an instance, in one state or not at all.
 *
 * Frontdesk's validator of the listing covers every value and the user data: a pass whose values
 * give that validator is one state. Of other services two passes in a row must agree, and their
 * validators are not relied on. A pass that
 * saw two states is repeated, and given up after a while; it is never handed out.
 */

import { GuestError, quote } from "../model/errors.ts";
import type { Client } from "./client.ts";
import { headerOf, type Reply } from "./http.ts";
import {
  CRAWL_MS,
  DEPTH_MAX,
  ETAG_CHARS_MAX,
  KEYS_MAX,
  LISTING_BYTES_MAX,
  PASSES_MAX,
  TREE_BYTES_MAX,
  USER_DATA_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import { isMetadataListing, parseListing } from "./listing.ts";
import { encode, LISTING_TARGET, USER_DATA_TARGET } from "./path.ts";
import { leavesOf, type Snapshot, type Tree, type UserData, userDataOf } from "./tree.ts";
import { limitedTo } from "./waiting.ts";

export interface CrawlOptions {
  /** User data holds secrets more often than not: only who asks for it gets it. */
  readonly withUserData: boolean;
}

/** Folders and keys that hold passwords and credentials: they are not read. */
const SECRET = /^(?:security-credentials|(?:vm-)?password|password-data|saved_password)\/?$/;

/** Requests at a time; the agent has as many connections. */
const TOGETHER = 4;

/** Frontdesk's form: 22 characters of base64url. */
const WHOLE_ETAG = /^"[A-Za-z0-9_-]{22}"$/;

interface Pass {
  readonly etag: string | undefined;
  readonly names: readonly string[];
  readonly metaData: Tree;
  readonly userData: UserData | undefined;
}

/** What one pass may still read. */
interface Budget {
  keys: number;
  bytes: number;
}

/**
 * Reads everything. Rejects when the signal is aborted.
 *
 * @throws {GuestError} when the service fails, sends too much, or changes all the time.
 */
export async function crawl(
  client: Client,
  options: CrawlOptions,
  signal: AbortSignal,
): Promise<Snapshot> {
  const limit = limitedTo(CRAWL_MS, signal);
  try {
    let before: Pass | undefined;
    for (let passes = 0; passes < PASSES_MAX; passes++) {
      const pass = await onePass(client, options, limit.signal);
      const whole = WHOLE_ETAG.test(pass.etag ?? "");
      if (whole && (await isOneState(client, pass, limit.signal))) return snapshotOf(pass, true);
      if (before !== undefined && isEqual(before, pass)) return snapshotOf(pass, false);
      before = pass;
    }
  } catch (error) {
    if (!limit.expired) throw error;
  } finally {
    limit.end();
  }
  throw new GuestError("METADATA_UNSETTLED", "the metadata changes faster than it can be read");
}

function snapshotOf({ etag, metaData, userData }: Pass, whole: boolean): Snapshot {
  return { etag, whole, metaData, userData };
}

async function onePass(
  client: Client,
  { withUserData }: CrawlOptions,
  signal: AbortSignal,
): Promise<Pass> {
  const listing = await must(client, LISTING_TARGET, { bytesMax: LISTING_BYTES_MAX }, signal);
  if (listing === undefined) {
    throw new GuestError("ENDPOINT_FAILED", "the service does not know this instance (404)");
  }
  if (!isMetadataListing(listing.body)) {
    throw new GuestError("ENDPOINT_FAILED", "the service lists nothing that an instance has");
  }
  const etag = headerOf(listing, "etag", ETAG_CHARS_MAX);
  const budget: Budget = { keys: KEYS_MAX, bytes: TREE_BYTES_MAX };
  const { names } = parseListing(listing.body);
  const metaData = await folder(
    client,
    { names, target: LISTING_TARGET, depth: 0, budget },
    signal,
  );
  if (!withUserData) return { etag, names, metaData, userData: undefined };
  const bytesMax = USER_DATA_BYTES_MAX;
  const body = (await must(client, USER_DATA_TARGET, { bytesMax }, signal))?.body;
  return { etag, names, metaData, userData: body === undefined ? undefined : userDataOf(body) };
}

interface Folder {
  readonly names: readonly string[];
  /** Ends in a slash. */
  readonly target: string;
  readonly depth: number;
  readonly budget: Budget;
}

async function folder(client: Client, at: Folder, signal: AbortSignal): Promise<Tree> {
  if (at.depth > DEPTH_MAX) throw tooMuch(`more than ${DEPTH_MAX} folders below each other`);
  const lines = at.names.filter((line) => !SECRET.test(line));
  at.budget.keys -= lines.length;
  if (at.budget.keys < 0) throw tooMuch(`more than ${KEYS_MAX} keys`);
  // A name like `constructor` is a key like any other.
  const tree = Object.create(null) as Record<string, string | Tree>;
  // A few at a time: the shorter a pass is, the less can change in it.
  for (let first = 0; first < lines.length; first += TOGETHER) {
    const some = lines.slice(first, first + TOGETHER).map((line) => entryOf(at, line));
    const read = ({ isFolder, entry }: Line): Promise<string | Tree | undefined> =>
      (isFolder ? subfolder : leaf)(client, entry, signal);
    const values = await allOf(some.map(read));
    some.forEach(({ entry: { name } }, index) => {
      const value = values[index];
      if (value !== undefined) tree[name] = value;
    });
  }
  return tree;
}

/** All of them, and none still under way when one has failed. */
async function allOf<T>(running: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(running);
  return await Promise.all(running);
}

interface Line {
  readonly isFolder: boolean;
  readonly entry: Entry;
}

/** EC2 lists public keys as `0=name`, and each is a folder `0/`. */
function entryOf(at: Folder, line: string): Line {
  const [, index] = /^(\d{1,4})=/.exec(line) ?? [];
  const name = index ?? line.replace(/\/$/, "");
  return { isFolder: index !== undefined || line.endsWith("/"), entry: { ...at, name } };
}

type Entry = Folder & { readonly name: string };

async function subfolder(
  client: Client,
  at: Entry,
  signal: AbortSignal,
): Promise<Tree | undefined> {
  const target = `${at.target}${encode(at.name)}/`;
  const listing = await must(client, target, { bytesMax: LISTING_BYTES_MAX }, signal);
  if (listing === undefined) return undefined;
  const { names } = parseListing(listing.body);
  const { depth, budget } = at;
  return await folder(client, { names, target, depth: depth + 1, budget }, signal);
}

async function leaf(client: Client, at: Entry, signal: AbortSignal): Promise<string | undefined> {
  const target = at.target + encode(at.name);
  const reply = await must(client, target, { bytesMax: VALUE_BYTES_MAX }, signal);
  if (reply === undefined) return undefined;
  at.budget.bytes -= reply.body.length;
  if (at.budget.bytes < 0) throw tooMuch(`more than ${TREE_BYTES_MAX} bytes`);
  // Values are text; what is not becomes U+FFFD.
  return reply.body.toString("utf8");
}

/** A reply with 200; `undefined` for 404, which is "absent". */
async function must(
  client: Client,
  target: string,
  options: { readonly bytesMax: number },
  signal: AbortSignal,
): Promise<Reply | undefined> {
  const asked = await client.get(target, options, signal);
  if (asked.kind === "too-large") throw tooMuch(`more than ${options.bytesMax} bytes at ${target}`);
  if (asked.kind !== "reply") {
    throw new GuestError("ENDPOINT_FAILED", `${quote(target)}: ${asked.kind} (${asked.code})`);
  }
  if (asked.status === 200) return asked;
  if (asked.status === 404) return undefined;
  throw new GuestError("ENDPOINT_FAILED", `${quote(target)}: status ${asked.status}`);
}

function tooMuch(what: string): GuestError {
  return new GuestError("METADATA_LIMIT", `the service sends ${what}; nothing of it is used`);
}

/**
 * Whether these values, and the user data of now, are what the listing's validator says.
 *
 * The user data's own validator is its hash, so it need not be read. Where the sum does not come
 * out, which a service of another version may cause, two passes decide.
 */
async function isOneState(client: Client, pass: Pass, signal: AbortSignal): Promise<boolean> {
  const { createHash } = await import("node:crypto");
  // As the protocol's `contentHash`; a test against the router holds the two together.
  const contentHash = (content: string | Buffer): string =>
    createHash("sha256").update(content).digest("base64url").slice(0, 22);
  const bytesMax = USER_DATA_BYTES_MAX;
  const asked = await client.get(USER_DATA_TARGET, { bytesMax, ifNoneMatch: "*" }, signal);
  if (asked.kind !== "reply") return false;
  const hash = /^"(.*)"$/.exec(headerOf(asked, "etag", ETAG_CHARS_MAX) ?? "")?.[1];
  const { userData } = pass;
  const read = userData === undefined ? undefined : bytesOf(userData);
  if (hash === undefined || (read !== undefined && contentHash(read) !== hash)) return false;
  // A key without a value is served empty, as one whose value is empty is.
  return [null, ""].some((empty) => {
    const values = pass.names.map((name) => pass.metaData[name] || empty);
    return pass.etag === `"${contentHash(JSON.stringify([pass.names, values, hash]))}"`;
  });
}

function bytesOf(userData: UserData): Buffer {
  return "text" in userData ? Buffer.from(userData.text) : Buffer.from(userData.base64, "base64");
}

/** A validator that covers everything must agree too; one of a single file says nothing more. */
function isEqual(a: Pass, b: Pass): boolean {
  const whole = ({ etag = "", metaData, userData }: Pass): string =>
    JSON.stringify([WHOLE_ETAG.test(etag) ? etag : undefined, leavesOf(metaData), userData]);
  return whole(a) === whole(b);
}
