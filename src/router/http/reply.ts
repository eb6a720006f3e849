/**
 * A reply's header fields, the same on both rims.
 */

import type { Body, StoredBody } from "../../model/binding.ts";
import type { Reply } from "../../protocol/http.ts";

/** Header fields of a reply, but for the body's length, which the runtime knows. */
export function fieldsOf(reply: Reply, close: boolean): Record<string, string> {
  const fields: Record<string, string> = {};
  if (reply.type !== undefined) fields["content-type"] = reply.type;
  if (reply.etag !== undefined) fields.etag = reply.etag;
  if (reply.allow !== undefined) fields.allow = reply.allow;
  if (reply.retryAfter !== undefined) fields["retry-after"] = String(reply.retryAfter);
  // wrk and some proxies count an error when a close is not announced.
  if (close) fields.connection = "close";
  return fields;
}

/** Whether a body has to be read from a disk first. */
export function isStored(body: string | Body | undefined): body is StoredBody {
  return typeof body === "object" && !(body instanceof Uint8Array);
}
