/**
 * The PROXY protocol, version 2: the bytes before a connection's first that say who really asks.
 * Only the sending half. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
 */

import { tryParseIp } from "../model/address.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** Version 2, "this connection is for somebody else". */
const VERSION_AND_COMMAND = 0x21;
/** IPv4, TCP. */
const FAMILY = 0x11;
/** Two addresses and two ports. Bytes. */
const ADDRESSES = 12;

export interface Connection {
  readonly from: { readonly host: string; readonly port: number };
  readonly to: { readonly host: string; readonly port: number };
}

/** The header of an IPv4 connection. @throws {RangeError} for another address, a bug. */
export function proxyHeader({ from, to }: Connection): Buffer {
  const header = Buffer.alloc(SIGNATURE.length + 4 + ADDRESSES);
  SIGNATURE.copy(header);
  header.writeUInt8(VERSION_AND_COMMAND, 12);
  header.writeUInt8(FAMILY, 13);
  header.writeUInt16BE(ADDRESSES, 14);
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
