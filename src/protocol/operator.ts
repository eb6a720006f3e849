/**
 * The operator's side of a running program, as far as programs share it: paths in a table, replies
 * of text and JSON. Pure. Never on a guest's listener.
 */

import { tryParseIp } from "../model/address.ts";
import { MetadataError, StateError } from "../model/errors.ts";
import { FORBIDDEN, type GuestRequest, NOT_FOUND, type Reply } from "./http.ts";

export interface OperatorRequest extends GuestRequest {
  /** Who asks; `undefined` on a unix socket. */
  readonly peer?: string | undefined;
}

/** `METHOD /path` and what answers there: one line per path. HEAD is answered where GET is. */
export type Routes<Ports, Asked = OperatorRequest> = Readonly<
  Record<string, (request: Asked, query: URLSearchParams, ports: Ports) => Promise<Reply>>
>;

/** Headers that only browsers send. */
const PAGES_ONLY = ["origin", "sec-fetch-site"];

/** Monitoring asks for these by whatever name the machine has; they hold numbers, and no names. */
const BY_ANY_NAME: ReadonlySet<string> = new Set(["/livez", "/metrics"]);

/** Longest target that is read. Characters. */
const TARGET_MAX = 4096;

/** Answers by a table. What a route refuses with a `MetadataError` is its code and message. */
export function answering<Ports, Asked extends OperatorRequest>(
  routes: Routes<Ports, Asked>,
  ports: Ports,
): (request: Asked) => Promise<Reply> {
  return async (request) => {
    const { target, method } = request;
    const [path = "", query = ""] = target.split("?", 2);
    if (isOfPage(request, path)) return FORBIDDEN;
    if (target.length > TARGET_MAX) return NOT_FOUND;
    const answer = routes[`${method === "HEAD" ? "GET" : method} ${path}`];
    if (answer === undefined) return elsewhere(routes, path);
    try {
      return await answer(request, new URLSearchParams(query), ports);
    } catch (error) {
      if (error instanceof MetadataError) {
        return failure(error instanceof StateError ? 507 : 400, error.code, error.message);
      }
      throw error;
    }
  };
}

/**
 * A page in an operator's browser must not reach a TCP admin listener. One that has given its own
 * name our address asks as if that were its place: by such a name nobody else asks.
 */
function isOfPage(request: OperatorRequest, path: string): boolean {
  if (PAGES_ONLY.some((name) => request.header(name) !== undefined)) return true;
  const host = request.header("host");
  if (request.peer === undefined || host === undefined || BY_ANY_NAME.has(path)) return false;
  const name = host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
  return name.toLowerCase() !== "localhost" && tryParseIp(name) === undefined;
}

/** Says which it is: another path, or another method on a path that is there. */
function elsewhere(routes: Readonly<Record<string, unknown>>, path: string): Reply {
  const others = Object.keys(routes).filter((route) => route.endsWith(` ${path}`));
  if (others.length === 0) return failure(404, "NOT_FOUND", "no such path");
  const allow = others.map((route) => route.split(" ")[0]).join(", ");
  return { status: 405, allow: allow.replace("GET", "GET, HEAD") };
}

export function json(status: number, value: unknown): Reply {
  return { status, body: `${JSON.stringify(value)}\n`, type: "application/json" };
}

export function text(status: number, body: string): Reply {
  return { status, body, type: "text/plain; charset=utf-8" };
}

export function failure(status: number, code: string, message: string): Reply {
  return json(status, { error: { code, message } });
}
