/**
 * From an HTTP request to parameters: those of the query and, of a POST, those of its form.
 *
 * Everything is bounded before it is looked at. A name that comes twice is refused, because what
 * was signed and what is done would be two things.
 */

import type { ClientApiError } from "../../model/errors.ts";
import type { Method } from "../user-data.ts";
import { refuse } from "./errors.ts";
import { PARAM_NAME_CHARS_MAX, PARAMS_MAX, QUERY_CHARS_MAX } from "./limits.ts";

export interface Asked {
  readonly method: Method;
  /** By their names as they were sent. */
  readonly sent: ReadonlyMap<string, string>;
  /** By the names that commands know them by: in lower case, but for a map's own keys. */
  readonly params: ReadonlyMap<string, string>;
}

/**
 * Names are signed as they are, so none may have what ends a name or a value: one that could would
 * hide other parameters in it, under a signature that is still right. `details[0].a-key` is one.
 */
const NAME = /^[A-Za-z0-9_.:/[\]-]+$/;

/** @param request its body is bounded already @throws {ClientApiError} 400, 405, 430 */
export async function readRequest(request: Request): Promise<Asked> {
  const { method } = request;
  if (method !== "GET" && method !== "POST") throw refuse("method", "Use GET or POST");
  const query = request.url.indexOf("?");
  const text = query === -1 ? "" : (request.url.slice(query + 1).split("#")[0] ?? "");
  if (text.length > QUERY_CHARS_MAX) throw refuse("badRequest", "The query is too long: use POST");
  const pairs = pairsOf(text);
  const type = request.headers.get("content-type") ?? "";
  if (method === "POST" && /^application\/x-www-form-urlencoded\b/i.test(type)) {
    pairs.push(...pairsOf(await request.text()));
  }
  return { method, ...named(pairs) };
}

type Pair = readonly [name: string, value: string];

/** Counted before they are taken apart: nobody knows yet who sent them. */
function pairsOf(text: string): Pair[] {
  if (text.split("&", PARAMS_MAX + 1).length > PARAMS_MAX) throw tooMany();
  return [...new URLSearchParams(text)];
}

function tooMany(): ClientApiError {
  return refuse("malformed", `The request has more than ${PARAMS_MAX} parameters`);
}

function named(pairs: readonly Pair[]): Omit<Asked, "method"> {
  if (pairs.length > PARAMS_MAX) throw tooMany();
  const sent = new Map<string, string>();
  const params = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (name.length > PARAM_NAME_CHARS_MAX) {
      const limit = `${PARAM_NAME_CHARS_MAX} characters`;
      throw refuse("malformed", `A parameter's name is longer than ${limit}`);
    }
    if (!NAME.test(name)) {
      throw refuse("malformed", "A parameter's name has characters that no name has");
    }
    const known = knownName(name);
    if (params.has(known)) throw refuse("malformed", "A parameter is given twice");
    sent.set(name, value);
    params.set(known, value);
  }
  return { sent, params };
}

function knownName(name: string): string {
  const at = name.indexOf("[");
  return at === -1 ? name.toLowerCase() : name.slice(0, at).toLowerCase() + name.slice(at);
}
