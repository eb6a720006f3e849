/**
 * The table of sources, one line each, keyed by the word before the colon: `file:lab.yaml`.
 *
 * Each is imported when it is asked for, so that a router on databags pays for no YAML parser.
 */

import { didYouMean } from "../config/nearest.ts";
import { quote, UsageError } from "../model/errors.ts";
import type { Source, SourceContext } from "./source.ts";

export type OpenSource = (location: string, context: SourceContext) => Promise<Source>;

export const sources: Readonly<Record<string, OpenSource>> = {
  databag: async (dir, context) => (await import("./databag/databag.ts")).openDatabag(dir, context),
  file: async (path, context) => (await import("./file/file.ts")).openFile(path, context),
};

/** What `--source` and the file's `source:` mean. */
export interface SourceSpec {
  /** A key of `sources`. */
  readonly scheme: string;
  readonly location: string;
}

/**
 * Takes `SCHEME:LOCATION` apart.
 *
 * @throws {UsageError} if there is no such source, or nothing follows the colon.
 */
export function parseSource(text: string): SourceSpec {
  const known = Object.keys(sources);
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(colon, 0));
  const location = text.slice(colon + 1);
  const forms = known.map((name) => `${name}:PATH`).join(" or ");
  if (colon < 1) throw new UsageError(`not a source: ${quote(text)}; write ${forms}`);
  if (!Object.hasOwn(sources, scheme)) {
    const guess = didYouMean(scheme, known);
    throw new UsageError(`no such source: ${quote(scheme)}${guess || `; write ${forms}`}`);
  }
  if (location === "") throw new UsageError(`${scheme}: says no path; write ${scheme}:PATH`);
  return { scheme, location };
}

/** @throws {UsageError} as `parseSource`, and what the source itself throws. */
export async function openSource(text: string, context: SourceContext): Promise<Source> {
  const { scheme, location } = parseSource(text);
  const open = sources[scheme];
  if (open === undefined) throw new UsageError(`no such source: ${quote(scheme)}`);
  return open(location, context);
}
