/**
 * Where we differ from CloudStack's own router: what a reply has, and what the documentation says.
 *
 * docs/differences.md lists each recorded request that we answer otherwise, below the heading that
 * says why, in a block of this form:
 *
 *     ```golden
 *     127.0.0.2 GET /latest/meta-data/nosuch -> body, length
 *     * -> header keep-alive (node)
 *     ```
 *
 * A rim's name in parentheses says that the other rim does not differ there; `*` is every request.
 */

import type { RawReply } from "./recording.ts";

/** Headers that may differ: they name the server, the moment, or what no client reads. */
const FREE = ["date", "server", "etag", "last-modified", "accept-ranges", "content-type"];

/** In which respects the replies differ: `status`, `body`, `length`, `protocol`, `header NAME`. */
export function differences(theirs: RawReply, ours: RawReply): readonly string[] {
  const found: string[] = [];
  if (theirs.protocol !== ours.protocol) found.push("protocol");
  if (theirs.status !== ours.status) found.push("status");
  if (theirs.body !== ours.body) found.push("body");
  if (values(theirs, "content-length") !== values(ours, "content-length")) found.push("length");
  const names = new Set([...theirs.headers, ...ours.headers].map(([name]) => name));
  for (const name of [...names].sort()) {
    if (FREE.includes(name) || name === "content-length") continue;
    if (values(theirs, name) !== values(ours, name)) found.push(`header ${name}`);
  }
  return found;
}

function values(reply: RawReply, name: string): string | undefined {
  const found = reply.headers.filter((header) => header[0] === name);
  return found.length === 0 ? undefined : found.map(([, value]) => value).join("\n");
}

/** What the documentation lists: who asked what, and in which respects the reply differs. */
export type Listed = ReadonlyMap<string, readonly string[]>;

const EVERY = "*";
const LINE = /^(\S.*) -> ([a-z0-9, -]+?)(?: \((bun|node)\))?$/;

/** Reads the `golden` blocks. @throws {Error} for a line of another form, or before any heading. */
export function parseListed(markdown: string, rim: "bun" | "node"): Listed {
  const listed = new Map<string, readonly string[]>();
  let heading = false;
  let inside = false;
  for (const line of markdown.split("\n")) {
    if (!inside && line.startsWith("#")) heading = true;
    if (line.startsWith("```")) {
      inside = !inside && line === "```golden";
      continue;
    }
    if (!inside || line === "") continue;
    const [, name, aspects, only] = LINE.exec(line) ?? [];
    if (name === undefined || aspects === undefined || !heading) {
      throw new Error(`docs/differences.md: not "request -> respects" below a heading: ${line}`);
    }
    if (only !== undefined && only !== rim) continue;
    listed.set(name, [...(listed.get(name) ?? []), ...aspects.split(", ")]);
  }
  return listed;
}

/**
 * What was found and is not listed, and what is listed and was not found; nothing when the
 * documentation is true. The form is the documentation's, so that a failure can be pasted.
 */
export function compare(
  found: ReadonlyMap<string, ReadonlySet<string>>,
  listed: Listed,
): { readonly unlisted: readonly string[]; readonly unfound: readonly string[] } {
  const everywhere = listed.get(EVERY) ?? [];
  const unlisted: string[] = [];
  const unfound: string[] = [];
  for (const [name, aspects] of found) {
    const known = [...everywhere, ...(listed.get(name) ?? [])];
    unlisted.push(...lines(name, [...aspects], known));
  }
  for (const [name, aspects] of listed) {
    const seen = name === EVERY ? [...found.values()].flatMap((set) => [...set]) : found.get(name);
    unfound.push(...lines(name, aspects, [...(seen ?? [])]));
  }
  return { unlisted, unfound };
}

/** One line for what `aspects` has and `others` lacks, or none. */
function lines(name: string, aspects: readonly string[], others: readonly string[]): string[] {
  const left = aspects.filter((aspect) => !others.includes(aspect)).sort();
  return left.length === 0 ? [] : [`${name} -> ${left.join(", ")}`];
}
