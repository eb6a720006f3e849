/**
 * User data on its way into the file: as text where people can read it, else as base64, or masked.
 */

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { Binding, Body } from "../../model/binding.ts";
import { counted } from "../../model/count.ts";

/** What stands after `userData:`. */
export type WrittenBody = string | { readonly base64: string };

export interface NumberedBody {
  /** Equal for equal content, counted from 1 in the order of the bindings. */
  readonly number: number;
  readonly written: WrittenBody;
}

/**
 * What a text scalar holds unchanged and an editor shows: no control characters but tab and line
 * feed, nothing that is a line break to some and not to others.
 */
const READABLE =
  /^[\t\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;

/** Characters of a line of base64, as in mail (RFC 2045 section 6.8). */
const BASE64_LINE = 76;

/**
 * Reads the bodies of `bindings`.
 *
 * @param mask a placeholder instead of the content. It carries no hash, because a hash would
 *   confirm a guess; the number shows which instances have the same.
 * @throws {StateError} if a body cannot be read back.
 */
export async function numberBodies(
  bindings: readonly Binding[],
  mask: boolean,
): Promise<ReadonlyMap<Binding, NumberedBody>> {
  const byHash = new Map<string, NumberedBody>();
  const result = new Map<Binding, NumberedBody>();
  for (const binding of bindings) {
    if (binding.userData === undefined) continue;
    const bytes = await bytesOf(binding.userData);
    const hash = createHash("sha256").update(bytes).digest("base64");
    let body = byHash.get(hash);
    if (body === undefined) {
      const number = byHash.size + 1;
      body = { number, written: mask ? placeholder(bytes.length, number) : write(bytes) };
      byHash.set(hash, body);
    }
    result.set(binding, body);
  }
  return result;
}

async function bytesOf(body: Body): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body : await body.read();
}

/** A guest boots with it: to cloud-init it is a configuration that configures nothing. */
function placeholder(length: number, number: number): string {
  return length === 0
    ? ""
    : `#cloud-config\n# masked: user data ${number}, ${counted(length, "byte")}\n`;
}

function write(bytes: Uint8Array): WrittenBody {
  if (isUtf8(bytes)) {
    const text = Buffer.from(bytes).toString("utf8");
    if (READABLE.test(text)) return text;
  }
  const base64 = Buffer.from(bytes).toString("base64");
  const lines = base64.match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return { base64: lines.length > 1 ? `${lines.join("\n")}\n` : base64 };
}
