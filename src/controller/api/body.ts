/**
 * Bodies before anybody reads them: bounded, whole, of a type that the route takes. And what is
 * wrong with one, in words that show nothing of it.
 */

import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { OperatorApiError, quote } from "../../model/errors.ts";
import { isModest, LEVELS_MAX } from "../../model/json-size.ts";
import { PAYLOAD_BYTES_MAX } from "../../model/payload.ts";
import { BODY_BYTES_MAX, FAULTS_MAX } from "./limits.ts";

export const JSON_TYPE = "application/json";
export const BYTES_TYPE = "application/octet-stream";

/** Of each request that may have a body; of uploads, by what a payload may have. */
export const bounded: MiddlewareHandler = (c, next) =>
  c.req.path === PAYLOADS_PATH ? atMostPayload(c, next) : atMost(c, next);

export const PAYLOADS_PATH = "/v1/payloads";
const atMost = limitedTo(BODY_BYTES_MAX);
const atMostPayload = limitedTo(PAYLOAD_BYTES_MAX);

function limitedTo(bytesMax: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: bytesMax,
    onError: (c) => {
      const length = c.req.header("content-length");
      const size = length === undefined ? "is longer" : `has ${Number(length)} bytes`;
      const message = `the body ${size}; the limit is ${bytesMax} bytes`;
      throw new OperatorApiError("BODY_TOO_LARGE", message);
    },
  });
}

/**
 * Reads the body, so that whoever asks for it later gets it at once.
 *
 * @param types what the route takes; JSON must be UTF-8
 */
export function takes(...types: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const given = c.req.header("content-type") ?? "";
    const type = given.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (!types.includes(type)) {
      const which = given === "" ? "the body has no type" : "the body has another type";
      throw new OperatorApiError("BODY_TYPE", `${which}; this takes ${types.join(" or ")}`);
    }
    // Who checks the body by its schema knows the type alone: no parameters, no spaces around them.
    if (given !== type) c.req.raw.headers.set("content-type", type);
    const bytes = await c.req.arrayBuffer().catch((cause: unknown) => {
      throw cause instanceof OperatorApiError
        ? cause
        : new OperatorApiError("BODY_MALFORMED", "the body ended early", { cause });
    });
    if (type === JSON_TYPE) checkJson(bytes);
    await next();
  };
}

/** The same for JSON that need not be there. */
export const takesJsonOrNothing: MiddlewareHandler = async (c, next) => {
  const isNothing = c.req.header("content-type") === undefined;
  if (isNothing && (await c.req.arrayBuffer()).byteLength === 0) await next();
  else await takes(JSON_TYPE)(c, next);
};

function checkJson(bytes: ArrayBuffer): void {
  const wrong = wrongWith(bytes);
  if (wrong !== undefined) throw new OperatorApiError("BODY_MALFORMED", `the body ${wrong}`);
}

function wrongWith(bytes: ArrayBuffer): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    // Before it is parsed, here and by the library.
    if (!isModest(text)) return `has more than ${LEVELS_MAX} levels, or too many lists`;
    JSON.parse(text);
    return undefined;
  } catch {
    return "is not JSON in UTF-8";
  }
}

/** One fault that a schema has found. */
export interface Fault {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

/** What is wrong, a few faults of it. Names that a client made up are quoted, values not shown. */
export function faultsOf(faults: readonly Fault[]): string {
  const said = faults.slice(0, FAULTS_MAX).map(({ code, path, message, keys }) => {
    const where = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`));
    const field = where.join("").replace(/^\./, "");
    const unknown = (keys ?? []).slice(0, FAULTS_MAX).map(quote).join(", ");
    const what = code === "unrecognized_keys" ? `no such field: ${unknown}` : lowered(message);
    return field === "" ? what : `${field}: ${what}`;
  });
  const more = faults.length - said.length;
  return said.join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** The library's messages name types and limits, and no value. */
function lowered(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
