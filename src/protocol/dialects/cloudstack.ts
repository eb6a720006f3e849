/**
 * The CloudStack dialect: all that lies under `latest/`.
 *
 * Where a real client can notice, the virtual router's behaviour is the reference; the differences
 * that we chose stand in docs/differences.md. Whatever is refused is refused with an empty body:
 * CloudStack's own script takes any body for a key or a password.
 */

import { type Document, lookUp, userDataEtag, wholeEtag } from "../document.ts";
import { contentHash, noneMatch, textEtag } from "../etag.ts";
import { type GuestRequest, NOT_FOUND, type Reply } from "../http.ts";
import type { Route } from "../path.ts";
import { keyNames, parseKeys } from "../public-keys.ts";

const TEXT = "text/plain; charset=utf-8";
const BINARY = "application/octet-stream";

/** What lies under `latest/`; the keys' short forms are not listed a second time. */
const LATEST_LISTING = "meta-data/\nmetadata/\nuser-data\n";
const ROOT_LISTING = "latest/\n";
const KEY_FORMS = "openssh-key\n";

/** What `document` answers to a GET of `route`. */
export function answer(document: Document, route: Route, request: GuestRequest): Reply {
  switch (route.kind) {
    case "key":
      return key(document, route.name, request);
    case "user-data":
      return userData(document, request);
    case "payload":
      return payload(document, route, request);
    case "listing":
      return body(document.shape.listing, wholeEtag(document), request);
    case "latest":
      return text(LATEST_LISTING, request);
    case "root":
      return text(ROOT_LISTING, request);
    case "key-names": {
      const keys = publicKeys(document);
      return keys.length === 0 ? NOT_FOUND : text(keyNames(keys), request);
    }
    case "key-forms":
      return publicKeys(document)[route.index] === undefined ? NOT_FOUND : text(KEY_FORMS, request);
    case "openssh-key": {
      const key = publicKeys(document)[route.index];
      return key === undefined ? NOT_FOUND : text(key, request);
    }
    case "nothing":
      return NOT_FOUND;
  }
}

function key(document: Document, name: string, request: GuestRequest): Reply {
  const value = lookUp(document, name);
  return value === undefined ? NOT_FOUND : text(value ?? "", request);
}

function userData(document: Document, request: GuestRequest): Reply {
  const etag = userDataEtag(document);
  if (matches(request, etag)) return { status: 304, etag };
  return { status: 200, body: document.userData ?? "", type: BINARY, etag };
}

/** Of this guest's own payloads only: whose they are, the document says. */
function payload(
  { payloads = [] }: Document,
  { sha256, part }: Extract<Route, { kind: "payload" }>,
  request: GuestRequest,
): Reply {
  const body = payloads.find((payload) => payload.sha256 === sha256)?.parts[part];
  if (body === undefined) return NOT_FOUND;
  const etag = `"${body instanceof Uint8Array ? contentHash(body) : body.hash}"`;
  if (matches(request, etag)) return { status: 304, etag };
  return { status: 200, body, type: BINARY, etag };
}

function publicKeys(document: Document): readonly string[] {
  return parseKeys(lookUp(document, "public-keys") ?? "");
}

function text(content: string, request: GuestRequest): Reply {
  return body(content, textEtag(content), request);
}

function body(content: string, etag: string, request: GuestRequest): Reply {
  if (matches(request, etag)) return { status: 304, etag };
  return { status: 200, body: content, type: TEXT, etag };
}

function matches(request: GuestRequest, etag: string): boolean {
  const header = request.header("if-none-match");
  return header !== undefined && noneMatch(header, etag);
}
