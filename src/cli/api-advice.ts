/**
 * What to do about an error of the operator API, said for who types commands: the API's own advice
 * is for who sends requests. A code that has no line here has the API's.
 */

import type { ErrorCode } from "../controller/api/errors.ts";

const SMALLER = "compress it, or give it as a payload: frontdesk payload attach";

// biome-ignore format: a table reads best with one line for each error
const ADVICE: { readonly [Code in ErrorCode]?: string } = {
  BODY_TOO_LARGE: SMALLER,
  INSTANCE_SEALED: "open it first: frontdesk instances open",
  INSTANCE_UNKNOWN: "frontdesk instances lists those that there are",
  NETWORK_UNKNOWN: "frontdesk networks lists those that there are",
  PAYLOAD_NONE: "frontdesk payload attach gives it one",
  PAYLOAD_NOT_RUNNABLE: "begin it with #!, put a file named run at the archive's top, or have it only put somewhere: attach it with --to PATH, add it with --as-file",
  PAYLOAD_UNKNOWN: "frontdesk payload list shows those that there are",
  USER_DATA_KEPT: "add --replace to lose it, or look at it first: frontdesk userdata get",
  USER_DATA_NONE: "frontdesk userdata set gives it some",
  USER_DATA_NOT_BASE64: "leave out --base64 to send the file's bytes as they are",
  USER_DATA_TOO_LARGE: SMALLER,
};

/** @param advice the API's own, if it sent some */
export function adviceFor(code: unknown, advice: unknown): string {
  const own = typeof code === "string" ? (ADVICE as Record<string, string>)[code] : undefined;
  return own ?? (typeof advice === "string" ? advice : "");
}
