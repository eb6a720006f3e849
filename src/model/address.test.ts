import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Cidr, containedIn, contains, type Ip, parseCidr, parseIp } from "./address.ts";

test("an address lies in ranges if it lies in one of them, of its own version", () => {
  const check = (address: string, ranges: readonly string[], expected: boolean): void => {
    expect(containedIn(ranges.map(parseCidr), parseIp(address))).toBe(expected);
  };
  check("10.1.1.5", [], false);
  check("10.1.1.5", ["10.1.1.0/24"], true);
  check("10.1.1.5", ["10.1.2.0/24", "fd00::/8", "10.1.1.5/32"], true);
  check("10.1.2.5", ["10.1.1.0/24", "fd00::/8"], false);
  check("fd00::5", ["0.0.0.0/0"], false);
  check("fd00::5", ["0.0.0.0/0", "::/0"], true);
  check("0.0.0.5", ["::/0"], false);
});

test("ranges hold what one of them holds, whatever they are", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map(parseIp);
  const ranges = fc.array(
    fc
      .tuple(address, fc.nat(32))
      .map(([ip, bits]: [Ip, number]): Cidr => parseCidr(`${ip}/${bits}`)),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(ranges, address, (ranges, address) => {
      const one = ranges.some((range) => contains(range, address));
      expect(containedIn(ranges, address)).toBe(one);
    }),
  );
});
