/**
 * "Did you mean …?" for paths: what an instance has, near to what was asked for and is not there.
 *
 * Knows the mistakes that people make: no version or a dated one, `userdata`, a key misspelt, user
 * data among the keys. What it names is always answered with 200.
 */

import { nearest } from "../config/nearest.ts";
import { answer } from "../protocol/dialects/cloudstack.ts";
import type { Document } from "../protocol/document.ts";
import { canonicalPath, route } from "../protocol/path.ts";

const FOLDERS = ["meta-data", "metadata"];

/** A path that is there, or `undefined` where none is near. */
export function nearby(path: string, document: Document): string | undefined {
  for (const candidate of candidates(path, document.shape.names)) {
    const request = { method: "GET", target: candidate, header: () => undefined };
    if (answer(document, route(candidate), request).status === 200) return candidate;
  }
  return undefined;
}

/** Likeliest first; not all are there. */
function* candidates(path: string, names: readonly string[]): Generator<string> {
  const words = canonicalPath(path)
    .split("/")
    .filter((word) => word !== "");
  if (isVersion(words[0] ?? "")) words.shift();
  const folder = FOLDERS.find((name) => name === words[0]) ?? nearest(words[0] ?? "", FOLDERS);
  if (folder !== undefined) words.shift();
  const base = folder === undefined ? "/latest" : `/latest/${folder}`;
  const [word, ...tail] = words;
  if (word === undefined) {
    yield `${base}/`;
    return;
  }
  const name = nearest(word, [...names, "user-data"]);
  if (name === undefined) return;
  yield [base, name, ...tail].join("/");
  if (name === "public-keys" && tail.length > 0) yield `${base}/${name}/`;
  yield `${base}/${name}`;
  yield `/latest/${name}`;
}

/** `latest`, as it was meant, or one of EC2's: `2009-04-04`, `1.0`. */
function isVersion(word: string): boolean {
  return /^[0-9][0-9.-]*$/.test(word) || nearest(word, ["latest"]) !== undefined;
}
