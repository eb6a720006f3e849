import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Cidr, parseCidr } from "../model/address.ts";
import { overlap, type Range } from "./ranges.ts";

test("overlap() finds ranges of different owners that share an address", () => {
  check(["a 10.0.0.0/24", "b 10.0.1.0/24"], undefined);
  check(["a 10.0.0.0/24", "b 10.0.0.128/25"], "10.0.0.0/24 10.0.0.128/25");
  check(["a 10.0.0.128/25", "b 10.0.0.0/8"], "10.0.0.0/8 10.0.0.128/25");
  check(["a 10.0.0.0/24", "b 10.0.0.0/24"], "10.0.0.0/24 10.0.0.0/24");
  check(["a 10.0.0.0/24", "a 10.0.0.0/25"], undefined);
  check(["a 10.0.0.0/8", "a 10.0.0.0/25", "b 10.9.0.0/24"], "10.0.0.0/8 10.9.0.0/24");
  check(["a 0.0.0.0/0", "b ::/0"], undefined);
  check(["a ::/0", "b fd00::/64"], "::/0 fd00::/64");
  check([], undefined);
});

test("overlap() agrees with comparing each range with each other", () => {
  const range = fc
    .tuple(
      fc.constantFrom("a", "b", "c"),
      fc.nat(255),
      fc.nat(255),
      fc.integer({ min: 20, max: 32 }),
    )
    .map(([owner, x, y, bits]) => made(owner, `10.0.${x & 7}.${y}/${bits}`));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
      const slow = ranges.some((a) =>
        ranges.some((b) => a.owner !== b.owner && meet(a.cidr, b.cidr)),
      );
      const found = overlap(ranges);
      expect(found !== undefined).toBe(slow);
      if (found === undefined) return;
      expect(found[0].owner).not.toBe(found[1].owner);
      expect(meet(found[0].cidr, found[1].cidr)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

function meet(a: Cidr, b: Cidr): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}

function made(owner: string, text: string): Range<undefined> {
  return { owner, cidr: parseCidr(text), tag: undefined };
}

function check(ranges: readonly string[], expected: string | undefined): void {
  const found = overlap(
    ranges.map((text) => {
      const [owner = "", cidr = ""] = text.split(" ");
      return made(owner, cidr);
    }),
  );
  expect(found?.map(({ cidr }) => cidr.text).join(" ")).toBe(expected as string);
}
