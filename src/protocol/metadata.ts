/**
 * The whole guest plane as one pure function: (who asks, request) -> reply.
 *
 * Who asks was decided before, by address alone; nothing in the request takes part. The router
 * keeps the clock: it says whether an identity is settled.
 */

import { answer } from "./dialects/cloudstack.ts";
import type { Document } from "./document.ts";
import {
  FORBIDDEN,
  type GuestRequest,
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  NOT_YET,
  type Reply,
} from "./http.ts";
import type { Route } from "./path.ts";

/** Who asks: a bound instance's document, or why there is none. */
export type Asker = Document | "unknown" | "not-yet";

/** Answers a request on the metadata port. Never throws. */
export function answerMetadata(asker: Asker, route: Route, request: GuestRequest): Reply {
  // A browser sends these, a guest's client never does: DNS rebinding ends here.
  if (request.header("origin") !== undefined || request.header("sec-fetch-site") !== undefined) {
    return FORBIDDEN;
  }
  if (asker === "unknown") return NOT_FOUND;
  if (asker === "not-yet") return NOT_YET;
  if (request.method !== "GET" && request.method !== "HEAD") return METHOD_NOT_ALLOWED;
  return answer(asker, route, request);
}
