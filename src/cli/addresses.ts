/**
 * Addresses on the command line.
 */

import { tryParseIp } from "../model/address.ts";
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
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  // In one spelling, so that "every address" is known in each of its own.
  const host = tryParseIp(match?.[1] ?? match?.[2]);
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
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
