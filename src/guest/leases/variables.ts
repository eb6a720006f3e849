/**
 * Files of `NAME=value` lines, which most DHCP clients and their scripts write.
 */

import { isIPv4 } from "node:net";

const LINES_MAX = 1024;

/** The variables of a file; the last of one name counts. Quotes around a value are dropped. */
export function parseVariables(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n", LINES_MAX)) {
    const [, name, value = ""] = /^\s*(?:export\s+)?([\w.-]+)=(.*?)\s*$/.exec(line) ?? [];
    const plain = /^'([^']*)'$|^"([^"]*)"$/.exec(value);
    if (name !== undefined) found.set(name, plain?.[1] ?? plain?.[2] ?? value);
  }
  return found;
}

/** The first of these that is an IPv4 address. */
export function addressIn(
  variables: ReadonlyMap<string, string>,
  ...names: readonly string[]
): string | undefined {
  return names.map((name) => variables.get(name)).find((value) => isIPv4(value ?? ""));
}

/** All IPv4 addresses of a variable that lists some. */
export function addressesIn(
  variables: ReadonlyMap<string, string>,
  ...names: readonly string[]
): readonly string[] {
  const text = names.map((name) => variables.get(name)).find((value) => value !== undefined);
  return (text ?? "").split(/[\s,]+/).filter(isIPv4);
}
