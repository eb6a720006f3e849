/**
 * Sealing of what a store keeps at rest: AES-256-GCM, each piece bound to its place.
 *
 * Each store has keys of its own, derived (HKDF) from the seal key and the store's random id. The
 * nonce is random: 96 bits are enough for four thousand million writes under one key (NIST SP
 * 800-38D section 8.3), more than a store sees. A piece that was changed, or moved to another
 * record's place, does not open.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";

const CIPHER = "aes-256-gcm";
const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;
/** 128 bits: no two contents meet. */
const NAME_BYTES = 16;

export const SEAL_KEY_BYTES = 32;
export const STORE_ID_BYTES = 16;

export class StoreSeal {
  /** Of the store. Not a secret. */
  readonly storeId: string;
  readonly #pieces: Buffer;
  readonly #names: Buffer;
  readonly #check: Buffer;

  constructor(sealKey: Uint8Array, storeId: Uint8Array) {
    if (sealKey.length !== SEAL_KEY_BYTES) throw new RangeError("a seal key has 32 bytes");
    this.storeId = Buffer.from(storeId).toString("hex");
    const derive = (purpose: string): Buffer =>
      Buffer.from(hkdfSync("sha256", sealKey, storeId, `frontdesk store ${purpose}`, 32));
    this.#pieces = derive("pieces");
    this.#names = derive("names");
    this.#check = derive("check");
  }

  /** Proves the key later. Says nothing about it. */
  get check(): Uint8Array {
    return this.#check;
  }

  isCheck(check: Uint8Array): boolean {
    return check.length === this.#check.length && timingSafeEqual(check, this.#check);
  }

  seal(content: Uint8Array, place: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#pieces, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(place));
    const sealed = cipher.update(content);
    cipher.final();
    return Buffer.concat([Buffer.of(FORMAT), nonce, sealed, cipher.getAuthTag()]);
  }

  /** `undefined` if it was not sealed by this key for this place, or was changed since. */
  open(sealed: Uint8Array, place: string): Buffer | undefined {
    if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== FORMAT) return undefined;
    const tagAt = sealed.length - TAG_BYTES;
    const nonce = sealed.subarray(1, HEAD_BYTES);
    const decipher = createDecipheriv(CIPHER, this.#pieces, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(place));
    decipher.setAuthTag(sealed.subarray(tagAt));
    const content = decipher.update(sealed.subarray(HEAD_BYTES, tagAt));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return content;
  }

  /** A name for a content that tells nothing about it to whoever lacks the key. */
  nameOf(content: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#names).update(content).digest().subarray(0, NAME_BYTES);
  }
}
