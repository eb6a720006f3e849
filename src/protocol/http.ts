/**
 * HTTP as the protocol sees it: what the rims hand in, and what they send.
 *
 * The rims (`src/router/http/`) turn a runtime's request into a `GuestRequest` and a `Reply` into
 * bytes, in one write, and add nothing to a body. So no framework's error page reaches a guest.
 */

import type { Body } from "../model/binding.ts";

export interface GuestRequest {
  /** As sent; methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string;
  /** Path and query as sent, `/` at least; the authority of an absolute-form target is dropped. */
  readonly target: string;
  /** The value of a header, by its lower-case name. */
  header(name: string): string | undefined;
}

/** Closed, so that no guest ever sees HTML. */
export type ContentType =
  | "text/plain; charset=utf-8"
  | "application/octet-stream"
  | "application/json";

export interface Reply {
  readonly status: number;
  /** Empty when absent. A HEAD request gets the headers of the body, and not the body. */
  readonly body?: string | Body;
  /** Present exactly when a body is meant, be it of length 0. */
  readonly type?: ContentType;
  /** Quoted, as on the wire. */
  readonly etag?: string;
  /** For 405: the methods that work. */
  readonly allow?: string;
  /** For 503: seconds. */
  readonly retryAfter?: number;
}

/** Replies without a body, shared: a guest that asks for junk costs no allocation. */
export const NOT_FOUND: Reply = { status: 404 };
export const FORBIDDEN: Reply = { status: 403 };
export const METHOD_NOT_ALLOWED: Reply = { status: 405, allow: "GET, HEAD" };
/** Not ready, or an identity that is not settled: clients ask again (RFC 9110 section 10.2.3). */
export const NOT_YET: Reply = { status: 503, retryAfter: 1 };
