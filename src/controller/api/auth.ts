/**
 * Who asks, and whether they may: bearer tokens, one rule for every path.
 *
 * What needs which role is decided here by method and path, so that a route that somebody adds is
 * guarded before anybody thinks of it: reading needs `read`, anything else `write`, and what says
 * which network is whose `admin`.
 */

import type { Context, MiddlewareHandler } from "hono";
import { OperatorApiError } from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";
import { Attempts } from "../attempts.ts";
import type { ConnectionBindings } from "../http.ts";
import { type Bearer, mayDo, type Role, type Tokens } from "../tokens.ts";

/** What a handler finds in `c`. */
export interface ApiEnv {
  readonly Bindings: ConnectionBindings;
  readonly Variables: { bearer: Bearer };
}

/** Characters of a path in the log: a network's and an instance's id. */
const PATH_CHARS_MAX = 400;

const READING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const ADMIN_PATHS = /^\/v1\/networks(?:\/|$)/;

function neededRole(method: string, path: string): Role {
  if (READING.has(method)) return "read";
  return ADMIN_PATHS.test(path) ? "admin" : "write";
}

export interface AuthPorts {
  readonly tokens: Tokens;
  readonly log: Log;
  now(): number;
}

export function authenticate({ tokens, log, now }: AuthPorts): MiddlewareHandler<ApiEnv> {
  const attempts = new Attempts(now);
  return async (c, next) => {
    const token = tokenOf(c);
    const bearer = token === undefined ? undefined : await tokens.bearer(token);
    if (bearer === undefined) {
      const waitSeconds = attempts.fail(c.env?.peer);
      if (waitSeconds !== undefined) {
        c.header("Retry-After", String(waitSeconds));
        throw new OperatorApiError("ATTEMPTS_TOO_MANY", "too many requests without a right token");
      }
      if (token === undefined) throw new OperatorApiError("TOKEN_MISSING", "there is no token");
      throw new OperatorApiError("TOKEN_UNKNOWN", "the token is none that counts here");
    }
    const needed = neededRole(c.req.method, c.req.path);
    if (!mayDo(bearer.role, needed)) {
      const message = `the token ${bearer.name} has the role ${bearer.role}; this needs ${needed}`;
      throw new OperatorApiError("ROLE_TOO_LOW", message);
    }
    c.set("bearer", bearer);
    await next();
    if (needed === "read" || c.res.status >= 400) return;
    // Who changed what. A path holds names, and no secret.
    const { method, path } = c.req;
    log.info({ by: bearer.name, method, path: path.slice(0, PATH_CHARS_MAX) }, "api request done");
  };
}

/** RFC 6750 section 2.1. A token in the query would stand in logs, so there it means nothing. */
export function tokenOf(c: Context): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
}
