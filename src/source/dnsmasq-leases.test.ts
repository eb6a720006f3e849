/** The lease file of dnsmasq, in the form of version 2.90. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseDnsmasqLeases } from "./dnsmasq-leases.ts";

const FILE = `1795402800 02:00:5a:10:00:07 10.1.1.57 web-01 01:02:00:5a:10:00:07
0 02:00:5A:10:00:08 10.1.1.58 * *
1795402800 20-02:00:5a:10:00:09 10.1.1.59 * *
duid 00:01:00:01:2f:e4:a9:1b:02:00:5a:10:00:01
1795402800 5242887 fd00:5a::57 web-01 00:03:00:01:02:00:5a:10:00:07
1795402800 T5242887 fd00:5a::58 web-01 00:01:00:01:2f:e4:a9:1b:02:00:5a:10:00:08
1795402800 5242887 fd00:5a::59 web-01 00:02:00:00:ab:11:de:ad:be:ef:00:01
1795402800 5242887 fd00:5a:0::60`;

test("leases of both IP versions, where they name a MAC address", () => {
  expect(parseDnsmasqLeases(FILE).map(({ address, mac }) => `${address} ${mac}`)).toEqual([
    "10.1.1.57 02:00:5a:10:00:07",
    "10.1.1.58 02:00:5a:10:00:08",
    "fd00:5a::57 02:00:5a:10:00:07",
    "fd00:5a::58 02:00:5a:10:00:08",
  ]);
});

test("no text upsets the reader", () => {
  const word = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom("0", " ", "\n", "duid"));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      for (const { mac } of parseDnsmasqLeases(words.join(" "))) expect(mac).toHaveLength(17);
    }),
  );
});
