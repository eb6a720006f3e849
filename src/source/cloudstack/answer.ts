/**
 * What an answer of the API means: its content, or which error.
 *
 * Pure. The text of an error is the API's own, on one line, cut, without our keys.
 */

import { CloudStackError } from "../../model/errors.ts";
import { isModest } from "../../model/json-size.ts";
import type { HttpAnswer } from "./http.ts";
import { BUSY_MS_MAX, ERROR_CHARS_MAX } from "./limits.ts";
import type { Credentials } from "./sign.ts";

export type Fields = Readonly<Record<string, unknown>>;

type Code = CloudStackError["code"];

/** What CloudStack's error codes mean for us; 5xx that is not here has failed. */
const CODES: Readonly<Record<number, Code>> = {
  401: "CLOUDSTACK_KEYS",
  400: "CLOUDSTACK_REQUEST",
  405: "CLOUDSTACK_REQUEST",
  429: "CLOUDSTACK_BUSY",
  430: "CLOUDSTACK_REQUEST",
  431: "CLOUDSTACK_REQUEST",
  432: "CLOUDSTACK_FORBIDDEN",
  511: "CLOUDSTACK_FORBIDDEN",
  531: "CLOUDSTACK_FORBIDDEN",
  532: "CLOUDSTACK_REQUEST",
  536: "CLOUDSTACK_REQUEST",
  537: "CLOUDSTACK_REQUEST",
};

/** CloudStack's own code of a refused permission. */
const PERMISSION = 4365;

/** What people should know beside the API's own words. */
const HINTS: Partial<Readonly<Record<Code, string>>> = {
  CLOUDSTACK_KEYS: "check the API key and the secret key, and that their user is enabled",
  CLOUDSTACK_FORBIDDEN: "the command does not exist there, or the keys' role may not use it",
};

/**
 * The content of an answer: what stands under its one name, whatever that is.
 *
 * @throws {CloudStackError} if it is an error, or nothing that the API would say.
 */
export function contentOf(
  command: string,
  answer: HttpAnswer,
  credentials: Credentials,
  now: number,
): Fields {
  const content = parse(answer.body);
  if (content === undefined) throw notTheApi(command, answer, now);
  const code = Number(content.errorcode ?? answer.status);
  if (code >= 200 && code < 300) return content;
  throw apiError(command, code, content, answer, { credentials, now });
}

function parse(body: string): Fields | undefined {
  if (!isModest(body)) return undefined;
  try {
    const outer: unknown = JSON.parse(body);
    if (!isFields(outer)) return undefined;
    const inner = Object.values(outer);
    return inner.length === 1 && isFields(inner[0]) ? inner[0] : undefined;
  } catch {
    return undefined;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notTheApi(command: string, answer: HttpAnswer, now: number): CloudStackError {
  const { status, headers, body } = answer;
  if (status === 429) {
    const waitMs = waitOf("", headers, now);
    return new CloudStackError("CLOUDSTACK_BUSY", `${command}: asked too often`, { waitMs });
  }
  if (status >= 500) {
    const said = `${command}: ${status} from the API or a proxy before it`;
    return new CloudStackError("CLOUDSTACK_FAILED", said, { errorCode: status });
  }
  const type = headers["content-type"] ?? "";
  const isPage = /html/i.test(type) || /^\s*</.test(body);
  if (isPage || status >= 300) {
    const what = isPage ? `a page (${status})` : `${status}`;
    const said = `${command}: ${what} instead of an answer of the API; check its address`;
    return new CloudStackError("CLOUDSTACK_ADDRESS", said);
  }
  return new CloudStackError(
    "CLOUDSTACK_ANSWER",
    `${command}: the answer is cut, not JSON, or nested too deep`,
  );
}

function apiError(
  command: string,
  errorCode: number,
  content: Fields,
  answer: HttpAnswer,
  { credentials, now }: { credentials: Credentials; now: number },
): CloudStackError {
  const raw = typeof content.errortext === "string" ? content.errortext : "";
  const text = plain(raw, credentials);
  const code = codeOf(errorCode, Number(content.cserrorcode), text);
  const said = text === "" ? "" : `: ${text}`;
  const hint = HINTS[code] === undefined ? "" : ` (${HINTS[code]})`;
  const waitMs = code === "CLOUDSTACK_BUSY" ? waitOf(text, answer.headers, now) : undefined;
  return new CloudStackError(code, `${command}: ${errorCode}${said}${hint}`, {
    errorCode,
    ...(waitMs !== undefined && { waitMs }),
  });
}

function codeOf(errorCode: number, detail: number, text: string): Code {
  if (detail === PERMISSION) return "CLOUDSTACK_FORBIDDEN";
  // Where signatures must not be good for long, an expiry too far ahead is said in words.
  if ((errorCode === 400 || errorCode === 401) && /\bexpire|timestamp/i.test(text)) {
    return "CLOUDSTACK_CLOCK";
  }
  return CODES[errorCode] ?? (errorCode >= 500 ? "CLOUDSTACK_FAILED" : "CLOUDSTACK_REQUEST");
}

/** The text on one line, cut, and without keys: an API may repeat what it was sent, or signed. */
export function plain(text: string, { apiKey, secretKey }: Credentials): string {
  return text
    .replace(anySpelling(secretKey), "***")
    .replace(anySpelling(apiKey), "***")
    .replace(/\b(signature)(?:=|%(?:25){0,2}3d)[^&\s]*/gi, "$1=***")
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim()
    .slice(0, ERROR_CHARS_MAX);
}

/** A key in either case, each character as it is, or encoded up to three times. */
function anySpelling(key: string): RegExp {
  const characters = [...key].map((character) => {
    const hex = character.charCodeAt(0).toString(16);
    return `(?:${character.replace(/[^A-Za-z0-9]/, "\\$&")}|%(?:25){0,2}${hex})`;
  });
  return new RegExp(characters.join(""), "gi");
}

/** How long to wait after 429: the header's seconds or date, else CloudStack's own words. */
function waitOf(text: string, headers: HttpAnswer["headers"], now: number): number {
  const header = headers["retry-after"] ?? "";
  const said = /retry after \[?(\d+)\]? ?ms/.exec(text)?.[1];
  const date = Date.parse(header);
  let waitMs = 1000;
  if (/^\d+$/.test(header)) waitMs = Number(header) * 1000;
  else if (said !== undefined) waitMs = Number(said);
  else if (!Number.isNaN(date)) waitMs = date - now;
  return Math.min(Math.max(waitMs, 0), BUSY_MS_MAX);
}
