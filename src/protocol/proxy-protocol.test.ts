/** The header of the PROXY protocol, byte by byte: what is one, and what is refused. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIp } from "../model/address.ts";
import {
  HEADER_BYTES_MAX,
  PREFIX_BYTES,
  proxyHeader,
  readPrefix,
  readSource,
} from "./proxy-protocol.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const FOUR = "0a0101390a01010100000050";
const SIX = `${"fd00005a".padEnd(31, "0")}a${"fd00005a".padEnd(31, "0")}1c0000050`;
const MAPPED = `${"0".repeat(20)}ffff0a010139${"0".repeat(32)}00000050`;

test("the address that a header names is who asks, with or without extras behind it", () => {
  check(`21 11 000c ${FOUR}`, "10.1.1.57");
  check(`21 21 0024 ${SIX}`, "fd00:5a::a");
  check(`21 11 0010 ${FOUR} 04000100`, "10.1.1.57");
  check(`21 11 0208 ${FOUR} ${"00".repeat(508)}`, "10.1.1.57");
  // One guest has one name, whatever the spelling.
  check(`21 21 0024 ${MAPPED}`, "10.1.1.57");
});

test("what is no header of version 2 with an address names nobody", () => {
  check(`11 11 000c ${FOUR}`, "no prefix");
  check(`31 11 000c ${FOUR}`, "no prefix");
  check(`22 11 000c ${FOUR}`, "no prefix");
  check(`2f 11 000c ${FOUR}`, "no prefix");
  check(`21 11 0209 ${FOUR} ${"00".repeat(509)}`, "no prefix");
  check(`21 11 ffff ${FOUR}`, "no prefix");
  check(`21 11 000b ${FOUR.slice(2)}`, undefined);
  check(`21 11 0000`, undefined);
  check(`21 21 000c ${FOUR}`, undefined);
  check(`21 21 0023 ${SIX.slice(2)}`, undefined);
  check(`21 00 000c ${FOUR}`, undefined);
  check(`21 12 000c ${FOUR}`, undefined);
  check(`21 31 00d8 ${"61".repeat(216)}`, undefined);
  check(`20 11 000c ${FOUR}`, undefined);
  check(`21 11 000c ${FOUR.slice(2)}`, undefined);
  check(`21 11 000c ${FOUR}00`, undefined);
});

test("requests and headers of version 1 are no header", () => {
  for (const text of [
    "PROXY TCP4 10.1.1.57 10.1.1.1 1 80\r\n",
    "GET /latest/meta-data/ HTTP/1.1\r\n",
    "\r\n\r\n\0\r\nQUIT\n",
    "",
  ]) {
    expect(readPrefix(Buffer.from(text).subarray(0, PREFIX_BYTES))).toBeUndefined();
  }
});

test("what is written is read, and no other bytes make anything else but an address", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const host = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join("."));
  const to = { host: "10.1.1.1", port: 80 };
  fc.assert(
    fc.property(host, (host) => {
      expect(read(proxyHeader({ from: { host, port: 0 }, to }))).toBe(host);
    }),
  );
  const bytes = fc.uint8Array({ minLength: 4, maxLength: HEADER_BYTES_MAX });
  fc.assert(
    fc.property(bytes, (rest) => {
      const found = read(Buffer.concat([Buffer.from(SIGNATURE, "hex"), rest]));
      if (found !== undefined && found !== "no prefix") expect(String(parseIp(found))).toBe(found);
    }),
  );
});

function read(header: Uint8Array): string | undefined {
  const prefix = readPrefix(header.subarray(0, PREFIX_BYTES));
  return prefix === undefined ? "no prefix" : readSource(prefix, header.subarray(PREFIX_BYTES));
}

/** @param rest what follows the signature, in hexadecimal digits */
function check(rest: string, source: string | undefined): void {
  const header = Buffer.from(SIGNATURE + rest.replaceAll(" ", ""), "hex");
  expect([rest, read(header)]).toEqual([rest, source]);
}
