/**
 * SSH keys: the public ones that are handed in, and pairs that are made for somebody.
 */

import { createHash, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { refuse } from "./errors.ts";
import { RSA_BITS } from "./limits.ts";

const make = promisify(generateKeyPair);

const TYPE = /^(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9-]+@openssh\.com)$/;

export interface PublicKey {
  /** One line: type, base64 and, if there is one, the comment. */
  readonly text: string;
  readonly fingerprint: string;
}

/** @throws {ClientApiError} 431 if it is not one key in the form of `authorized_keys`. */
export function parsePublicKey(given: string): PublicKey {
  const [type = "", base64 = "", ...comment] = given.trim().split(/[ \t]+/);
  const blob = Buffer.from(base64, "base64");
  // The blob says its type once more.
  const length = blob.length >= 4 ? blob.readUInt32BE() : 0;
  const isWhole = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && blob.length > 4 + length;
  const isTyped = TYPE.test(type) && blob.toString("latin1", 4, 4 + length) === type;
  // Spaces are no breaks; whatever else controls a terminal is no comment.
  if (!isWhole || !isTyped || /[\p{Cc}\u2028\u2029]/u.test(comment.join(" "))) {
    throw refuse("parameter", "publickey: it must be one line: ssh-ed25519 AAAA... comment");
  }
  return { text: [type, base64, ...comment].join(" "), fingerprint: fingerprintOf(blob) };
}

/** MD5, as CloudStack and old OpenSSH show it. It names a key, and protects nothing. */
function fingerprintOf(blob: Uint8Array): string {
  const hex = createHash("md5").update(blob).digest("hex");
  return hex.replace(/(..)(?=.)/g, "$1:");
}

/** A new RSA key: the private one is told once and kept nowhere. */
export async function makeKeyPair(): Promise<{ readonly privateKey: string } & PublicKey> {
  const { publicKey, privateKey } = await make("rsa", { modulusLength: RSA_BITS });
  const { n = "", e = "" } = publicKey.export({ format: "jwk" });
  const blob = Buffer.concat([
    field(Buffer.from("ssh-rsa")),
    field(positive(Buffer.from(e, "base64url"))),
    field(positive(Buffer.from(n, "base64url"))),
  ]);
  return {
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
    text: `ssh-rsa ${blob.toString("base64")}`,
    fingerprint: fingerprintOf(blob),
  };
}

/** @see RFC 4251 section 5 */
function field(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A number whose first bit is set would be a negative one. */
function positive(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]);
}
