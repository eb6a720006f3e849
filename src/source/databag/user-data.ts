/**
 * User data from base64, as CloudStack's router decodes it: what is not of the alphabet is dropped,
 * padding may be lacking, and the first complete padding ends the data.
 */

/** What nearly all base64 looks like. The runtime's own decoder reads it right. */
const PLAIN = /^[A-Za-z0-9+/]*={0,2}$/;

/** Data so short is decoded in one buffer for all, and copied: a buffer each costs more. Bytes. */
const SMALL_BYTES = 64 * 1024;

let scratch: Buffer | undefined;

/** @returns the bytes, in memory of their own; `undefined` if no bytes have this base64. */
export function decodeUserData(text: string): Uint8Array | undefined {
  const letters = PLAIN.test(text) ? text.replace(/=+$/, "") : lettersOf(text);
  // One letter has six bits: no byte.
  if (letters.length % 4 === 1) return undefined;
  const length = Math.floor((letters.length * 3) / 4);
  if (length > SMALL_BYTES) {
    const large = Buffer.allocUnsafeSlow(length);
    large.write(letters, "base64");
    return large;
  }
  scratch ??= Buffer.allocUnsafeSlow(SMALL_BYTES);
  scratch.write(letters, "base64");
  const bytes = new Uint8Array(length);
  bytes.set(scratch.subarray(0, length));
  return bytes;
}

/** The letters that count, up to the first padding that completes a group of four. */
function lettersOf(text: string): string {
  let letters = 0;
  let padding = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === "=") {
      const filled = letters % 4;
      if (filled >= 2 && filled + ++padding >= 4) return onlyLetters(text.slice(0, i));
    } else if (/[A-Za-z0-9+/]/.test(character)) {
      letters++;
      padding = 0;
    }
  }
  return onlyLetters(text);
}

function onlyLetters(text: string): string {
  return text.replace(/[^A-Za-z0-9+/]/g, "");
}
