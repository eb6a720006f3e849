/**
 * Where we differ from CloudStack's own router: what a reply has, and what the documentation says.
 *
 * docs/differences.md lists each recorded request that we answer otherwise, below the heading that
 * says why, in a block of this form:
 *
 *     ```golden
 *     127.0.0.2 GET /latest/meta-data/nosuch -> body, length
 *     ```
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

/** What the documentation lists: for each request the respects, and the heading they stand under. */
export interface Listed {
  readonly aspects: readonly string[];
  readonly headings: readonly string[];
}

/** Reads the `golden` blocks. @throws {Error} for a line of another form, or before any heading. */
export function parseListed(markdown: string): ReadonlyMap<string, Listed> {
  const listed = new Map<string, Listed>();
  let heading = "";
  let inside = false;
  for (const line of markdown.split("\n")) {
    if (!inside && line.startsWith("#")) heading = line.replace(/^#+ */, "");
    if (line.startsWith("```")) {
      inside = !inside && line === "```golden";
      continue;
    }
    if (!inside || line === "") continue;
    const [name, aspects] = line.split(" -> ");
    if (name === undefined || aspects === undefined || heading === "") {
      throw new Error(`docs/differences.md: not "request -> respects" below a heading: ${line}`);
    }
    const before = listed.get(name);
    listed.set(name, {
      aspects: [...(before?.aspects ?? []), ...aspects.split(", ")],
      headings: [...(before?.headings ?? []), heading],
    });
  }
  return listed;
}
