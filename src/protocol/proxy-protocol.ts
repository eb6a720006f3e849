/**
 * The PROXY protocol, version 2: the bytes before a connection's first that say who really asks.
 *
 * Pure. The bridge writes a header, the router's own listeners for bridges read one. Version 1,
 * which is text, is not spoken: no two readers agree on how much of it is one.
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
 */

import { type Ip, tryParseIp } from "../model/address.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** The high half of the byte after the signature. */
const VERSION = 0x20;
/** Its low half: about the proxy itself, or for somebody else. */
const LOCAL = 0x0;
const PROXY = 0x1;
/** The byte after that: IPv4 or IPv6, and TCP. Other families have no guests. */
const TCP4 = 0x11;
const TCP6 = 0x21;

/** Signature, version and command, family, length: what each header begins with. Bytes. */
export const PREFIX_BYTES = 16;
/** A whole header: 520 behind the prefix are more than any address and the usual extras. Bytes. */
export const HEADER_BYTES_MAX = 536;

/** Two addresses and two ports. Bytes. */
const ADDRESSES_BYTES = { [TCP4]: 12, [TCP6]: 36 } as const;

export interface Connection {
  readonly from: { readonly host: string; readonly port: number };
  readonly to: { readonly host: string; readonly port: number };
}

/** The header of an IPv4 connection. @throws {RangeError} for another address, a bug. */
export function proxyHeader({ from, to }: Connection): Buffer {
  const header = Buffer.alloc(PREFIX_BYTES + ADDRESSES_BYTES[TCP4]);
  SIGNATURE.copy(header);
  header.writeUInt8(VERSION | PROXY, 12);
  header.writeUInt8(TCP4, 13);
  header.writeUInt16BE(ADDRESSES_BYTES[TCP4], 14);
  header.set(octets(from.host), 16);
  header.set(octets(to.host), 20);
  header.writeUInt16BE(from.port, 24);
  header.writeUInt16BE(to.port, 26);
  return header;
}

function octets(host: string): number[] {
  const numbers = tryParseIp(host)?.split(".").map(Number) ?? [];
  if (numbers.length !== 4) throw new RangeError("not an IPv4 address");
  return numbers;
}

/** What the first 16 bytes of a header say. */
export interface Prefix {
  /** `local`: the proxy asks for itself, to see whether somebody listens. */
  readonly command: "local" | "proxy";
  /** IPv4, IPv6, or something that has no such address. */
  readonly family: 4 | 6 | undefined;
  /** How many bytes follow that are still the header. */
  readonly length: number;
}

/**
 * Reads the first `PREFIX_BYTES` of a connection.
 *
 * @returns `undefined` if they are no header of version 2, or one longer than `HEADER_BYTES_MAX`.
 */
export function readPrefix(bytes: Uint8Array): Prefix | undefined {
  const prefix = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (prefix.length !== PREFIX_BYTES) return undefined;
  if (!prefix.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return undefined;
  const command = prefix.readUInt8(12) ^ VERSION;
  if (command !== LOCAL && command !== PROXY) return undefined;
  const length = prefix.readUInt16BE(14);
  if (PREFIX_BYTES + length > HEADER_BYTES_MAX) return undefined;
  const kind = prefix.readUInt8(13);
  const family = kind === TCP4 ? 4 : kind === TCP6 ? 6 : undefined;
  return { command: command === LOCAL ? "local" : "proxy", family, length };
}

/**
 * The address that a header names as the one who asks.
 *
 * @param rest the `length` bytes behind the prefix; extras behind the addresses are passed over
 * @returns `undefined` if there is none.
 */
export function readSource({ command, family, length }: Prefix, rest: Uint8Array): Ip | undefined {
  if (command !== "proxy" || family === undefined || rest.length !== length) return undefined;
  if (length < ADDRESSES_BYTES[family === 4 ? TCP4 : TCP6]) return undefined;
  if (family === 4) return tryParseIp(rest.subarray(0, 4).join("."));
  const groups = Array.from({ length: 8 }, (_, group) => {
    const at = group * 2;
    return (((rest[at] ?? 0) << 8) | (rest[at + 1] ?? 0)).toString(16);
  });
  return tryParseIp(groups.join(":"));
}
