/**
 * The password server's dialogue, as CloudStack's guests speak it on port 8080.
 *
 * A guest asks with the header `DomU_Request`; the path means nothing. Clients take whatever they
 * read for the password, so nothing but the words below, a password or nothing ever leaves:
 * on any status, whatever fails.
 */

import type { Reply } from "./http.ts";

/** "There is none for you", and "I have it" from the guest. */
export const SAVED_PASSWORD = "saved_password";
const BAD_REQUEST = "bad_request";

/** Header, by its lower-case name. */
const HEADER = "domu_request";

/** Longer ones no guest can set: passwd reads 511 characters at most. Bytes of UTF-8. */
const PASSWORD_BYTES_MAX = 1024;

export type PasswordAsk =
  /** The guest wants its password. It may ask as often as it likes. */
  | "send"
  /** The guest has its password. */
  | "acknowledge"
  /** The router's own command hands a password in. */
  | "save"
  /** A POST that means nothing to us. */
  | "ignore"
  | "bad-request"
  | "bad-method";

/** What a request asks for. */
export function readPasswordAsk(
  method: string,
  header: (name: string) => string | undefined,
): PasswordAsk {
  // Two headers arrive joined, "a, b", and are neither.
  const word = header(HEADER)?.replace(/^[ \t]+|[ \t]+$/g, "");
  if (method === "GET") {
    if (word === "send_my_password") return "send";
    return word === SAVED_PASSWORD ? "acknowledge" : "bad-request";
  }
  if (method !== "POST") return "bad-method";
  return word === "save_password" ? "save" : "ignore";
}

/** Whether a password can be told from the dialogue's words, and survives the guest's reading. */
export function isDeliverable(password: string): boolean {
  if (password === SAVED_PASSWORD || password === BAD_REQUEST) return false;
  if (/^$|^\s|\s$|[\u0000-\u001f\u007f]|\p{Surrogate}/u.test(password)) return false;
  return Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
}

/** The answer to "send": the password, or the word for none. */
export function passwordReply(password: string | undefined): Reply {
  return password === undefined ? NOTHING_PENDING : text(password);
}

/** The answer where there is no password, to whomever. */
export const NOTHING_PENDING: Reply = text(SAVED_PASSWORD);
/** The answer to an acknowledgement. */
export const ACKNOWLEDGED: Reply = text(SAVED_PASSWORD);
/** 200, because CloudStack's guests read the word and not the status. */
export const NOT_UNDERSTOOD: Reply = text(BAD_REQUEST);
/** The answer to every POST, whatever became of it. */
export const POSTED: Reply = { status: 200 };
export const WRONG_METHOD: Reply = { status: 405, allow: "GET, POST" };

function text(body: string): Reply {
  return { status: 200, body, type: "text/plain; charset=utf-8" };
}
