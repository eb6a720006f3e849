/**
 * An instance's metadata as a tree of texts, and what has changed between two of them.
 */

export type Tree = { readonly [name: string]: string | Tree };

/** What runs at boot: text where it is text, else base64. */
export type UserData = { readonly text: string } | { readonly base64: string };

export interface Snapshot {
  /** The server's validator of the listing, quoted as on the wire. */
  readonly etag: string | undefined;
  /** Whether that validator covers every value and the user data. */
  readonly whole: boolean;
  readonly metaData: Tree;
  /** Only when it was asked for; `undefined` also where there is none. */
  readonly userData: UserData | undefined;
}

/** One difference. A folder's keys are named one by one: `placement/availability-zone`. */
export interface Change {
  readonly kind: "added" | "changed" | "removed";
  readonly key: string;
  readonly from?: string;
  readonly to?: string;
}

/** Bytes as text where they are text. */
export function userDataOf(body: Buffer): UserData {
  const text = textOf(body);
  return text === undefined ? { base64: body.toString("base64") } : { text };
}

/** UTF-8, or `undefined`: a byte order mark stays, it is content. */
export function textOf(body: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}

/** All keys with their values, by path, in the tree's order. */
export function leavesOf(tree: Tree, prefix = ""): readonly (readonly [string, string])[] {
  return Object.entries(tree).flatMap(([name, value]) =>
    typeof value === "string"
      ? [[prefix + name, value] as const]
      : leavesOf(value, `${prefix}${name}/`),
  );
}

/** What lies at a path; `undefined` when nothing does. */
export function lookUp(tree: Tree, path: readonly string[]): string | Tree | undefined {
  let at: string | Tree | undefined = tree;
  for (const name of path) {
    if (at === undefined || typeof at === "string" || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

/** What one has to know to get from `before` to `after`; user data is told, not shown. */
export function changesBetween(before: Snapshot, after: Snapshot): readonly Change[] {
  const old = new Map(leavesOf(before.metaData));
  const now = new Map(leavesOf(after.metaData));
  const changes: Change[] = [];
  for (const [key, to] of now) {
    const from = old.get(key);
    if (from === undefined) changes.push({ kind: "added", key, to });
    else if (from !== to) changes.push({ kind: "changed", key, from, to });
  }
  for (const [key, from] of old) {
    if (!now.has(key)) changes.push({ kind: "removed", key, from });
  }
  const userData = userDataChange(before, after, changes.length > 0);
  return userData === undefined ? changes : [...changes, userData];
}

/** The validator tells of user data that was not read: it differs, and no key does. */
function userDataChange(
  before: Snapshot,
  after: Snapshot,
  keysChanged: boolean,
): Change | undefined {
  const read = before.userData !== undefined || after.userData !== undefined;
  const differs = read
    ? JSON.stringify(before.userData) !== JSON.stringify(after.userData)
    : before.whole && after.whole && before.etag !== after.etag && !keysChanged;
  return differs ? { kind: "changed", key: "user-data" } : undefined;
}
