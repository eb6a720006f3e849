import { expect, test } from "bun:test";
import fc from "fast-check";
import { containedIn, type Ip, parseCidr, parseIp } from "../model/address.ts";
import { Ranges } from "./ranges.ts";

const NETWORKS = [
  { id: "wide", cidrs: ["10.0.0.0/8", "fd00::/64"] },
  { id: "narrow", cidrs: ["10.0.0.0/16"] },
  { id: "apart", cidrs: ["192.0.2.0/24", "192.0.2.0/25"] },
  { id: "unsaid", cidrs: [] },
];

test("an address is of each network that has it in a range, once", () => {
  const ranges = new Ranges(NETWORKS);
  const of = (text: string): readonly string[] => [...ranges.of(parseIp(text))].sort();
  expect(of("10.0.0.1")).toEqual(["narrow", "wide"]);
  expect(of("10.1.0.1")).toEqual(["wide"]);
  expect(of("192.0.2.5")).toEqual(["apart"]);
  expect(of("198.51.100.1")).toEqual([]);
  expect(of("fd00::1")).toEqual(["wide"]);
  expect(ranges.knows("wide", parseIp("fd00::1"))).toBe(true);
  expect(ranges.knows("narrow", parseIp("fd00::1"))).toBe(false);
  expect(ranges.knows("unsaid", parseIp("10.0.0.1"))).toBe(false);
});

test("what overlaps is the narrower range, and one network's own ranges may", () => {
  expect(new Ranges(NETWORKS).overlaps()).toEqual([
    { range: "10.0.0.0/16", networks: ["wide", "narrow"] },
  ]);
});

test("it says what comparing with each range says", () => {
  const cidr = fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 8, max: 32 }))
    .map(([last, length]) => `10.0.0.${last}/${length}`);
  const networks = fc.array(fc.array(cidr, { maxLength: 3 }), { maxLength: 5 });
  fc.assert(
    fc.property(networks, fc.integer({ min: 0, max: 3 }), (given, last) => {
      const all = given.map((cidrs, at) => ({ id: `n${at}`, cidrs }));
      const address = `10.0.0.${last}` as Ip;
      const has = ({ cidrs }: { cidrs: readonly string[] }): boolean =>
        containedIn(cidrs.map(parseCidr), address);
      const expected = all.filter(has).map(({ id }) => id);
      expect([...new Ranges(all).of(address)].sort()).toEqual(expected.sort());
    }),
  );
});
