/**
 * How runtimes say that what answered a greeting of TLS speaks plain HTTP: the address is wrong,
 * and no certificate is.
 */

/** OpenSSL's reasons, as Bun and later versions of Node.js have them for a code. */
const CODES: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
]);

/** The same in a message: the code of Node.js 18 and 20 is that of every failed handshake. */
const REASON = /wrong version number|packet length too long/;

export function isPlainAnswer({ code = "", message }: NodeJS.ErrnoException): boolean {
  return CODES.has(code) || (code === "EPROTO" && REASON.test(message));
}
