/**
 * Addresses on the command line.
 */

import { tryParseHostPort } from "../model/address.ts";
import { UsageError } from "../model/errors.ts";
import type { ListenAddress } from "../router/http/rim.ts";
import { type ListenTarget, type Plane, parseListen } from "../router/listeners.ts";

/**
 * Parses `unix:PATH` or `ADDR:PORT`.
 *
 * @throws {UsageError} if it is anything else.
 */
export function parseAdmin(text: string): ListenAddress {
  if (text.startsWith("unix:") && text.length > 5) return { unix: text.slice(5) };
  const at = tryParseHostPort(text);
  if (at !== undefined) return at;
  throw new UsageError(`not an admin address: ${text}; write unix:PATH or ADDR:PORT`);
}

/**
 * Parses the values of `--listen` or `--password-listen`.
 *
 * @throws {UsageError} if one is neither `auto` nor ADDR:PORT.
 */
export function parseListens(
  values: readonly string[],
  flag: string,
  plane: Plane,
): "auto" | readonly ListenTarget[] {
  if (values.includes("auto")) {
    if (values.length === 1) return "auto";
    throw new UsageError(`${flag} auto stands alone`);
  }
  return values.map((value) => {
    const target = parseListen(value, plane);
    if (target !== undefined) return target;
    throw new UsageError(`${flag} ${value}: write ADDR:PORT, [IPV6]:PORT or auto`);
  });
}
