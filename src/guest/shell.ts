/**
 * Metadata as shell variables. Names are made of keys, values are quoted: `eval` of the result
 * sets variables and does nothing else, whatever the keys and values are.
 */

import type { Tree } from "./tree.ts";
import { leavesOf } from "./tree.ts";

export interface Variable {
  readonly name: string;
  readonly value: string;
  /** The key it comes from: `placement/availability-zone`. */
  readonly key: string;
}

export interface Variables {
  readonly variables: readonly Variable[];
  /** Keys without a variable, and why; a sentence each. */
  readonly leftOut: readonly string[];
}

/** What a prefix may be: the names of our variables stand apart from PATH and IFS. */
export const PREFIX: RegExp = /^[A-Z][A-Z0-9_]{0,31}_$/;

/** Keys as clouds name them. A user may name a key almost anything. */
const USUAL = /^[a-z0-9/-]+$/;

/**
 * `local-hostname` becomes `METADATA_LOCAL_HOSTNAME`. When two keys would get one name, the one
 * that is spelled as clouds spell keys gets it: nobody's `instance_id` passes for `instance-id`.
 */
export function variablesOf(tree: Tree, prefix: string): Variables {
  const leaves = leavesOf(tree);
  const usualFirst = [
    ...leaves.filter(([key]) => USUAL.test(key)),
    ...leaves.filter(([key]) => !USUAL.test(key)),
  ];
  const byName = new Map<string, Variable>();
  const leftOut: string[] = [];
  for (const [key, value] of usualFirst) {
    const name = prefix + key.toUpperCase().replace(/[^A-Z0-9]/g, "_");
    const taken = byName.get(name);
    if (taken !== undefined) leftOut.push(`${key}: ${name} is ${taken.key}`);
    // No shell can hold it.
    else if (value.includes("\0")) leftOut.push(`${key}: its value has a NUL`);
    else byName.set(name, { name, value, key });
  }
  return { variables: [...byName.values()], leftOut };
}

/** Between single quotes nothing means anything but the quote itself; POSIX, section 2.2.2. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
