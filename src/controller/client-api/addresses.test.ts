import { expect, test } from "bun:test";
import { parseIp } from "../../model/address.ts";
import { belongs, nextFree, rangeOf, type Search } from "./addresses.ts";

test("a range says its gateway and netmask", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["10.1.1.0/24", "10.1.1.1", "255.255.255.0"],
    ["10.1.1.0/30", "10.1.1.1", "255.255.255.252"],
    ["10.1.1.0/31", "10.1.1.0", "255.255.255.254"],
    ["127.0.0.0/8", "127.0.0.1", "255.0.0.0"],
    ["0.0.0.0/0", "0.0.0.1", "0.0.0.0"],
    ["fd00::/64", "fd00::1", undefined],
  ];
  for (const [cidr, gateway, netmask] of cases) {
    expect(rangeOf({ id: "n", cidrs: [cidr] })).toEqual({ cidr, gateway, netmask } as never);
  }
  expect(rangeOf({ id: "n", cidrs: [] })).toBeUndefined();
  const two = { id: "n", cidrs: ["10.1.1.0/24", "10.2.2.0/24"] };
  expect(rangeOf(two, parseIp("10.2.2.9"))?.gateway).toBe("10.2.2.1" as never);
  expect(rangeOf(two, parseIp("10.3.3.9"))).toBeUndefined();
});

test("the next address is a free one, never the network's, the gateway's or the last", () => {
  const next = (cidr: string, taken: readonly string[] = [], more: Partial<Search> = {}): string =>
    nextFree({ id: "n", cidrs: [cidr] }, { taken: new Set(taken), ...more });
  expect(next("10.1.1.0/24")).toBe("10.1.1.2");
  expect(next("10.1.1.0/24", ["10.1.1.2", "10.1.1.4"])).toBe("10.1.1.3");
  expect(next("10.1.1.0/24", [], { first: "10.1.1.100" })).toBe("10.1.1.100");
  expect(next("10.1.1.0/24", [], { first: "192.0.2.1" })).toBe("10.1.1.2");
  expect(next("10.1.1.4/31")).toBe("10.1.1.4");
  expect(next("10.1.1.4/32")).toBe("10.1.1.4");
  expect(next("fd00::/64", ["fd00::2"])).toBe("fd00::3");
  expect(() => next("10.1.1.0/30", ["10.1.1.2"])).toThrow("Every address of the network is taken");
  expect(() => nextFree({ id: "n", cidrs: [] }, { taken: new Set() })).toThrow("has no range");
});

test("it lies behind the one that was given last, and at the end begins anew", () => {
  const after = (last: string, ...taken: string[]): string =>
    nextFree({ id: "n", cidrs: ["10.1.1.0/29"] }, { taken: new Set(taken), last });
  expect(after("10.1.1.3")).toBe("10.1.1.4");
  expect(after("10.1.1.3", "10.1.1.4")).toBe("10.1.1.5");
  expect(after("10.1.1.6")).toBe("10.1.1.2");
  expect(after("10.1.1.7")).toBe("10.1.1.2");
  expect(after("10.1.1.5", "10.1.1.6", "10.1.1.2")).toBe("10.1.1.3");
  expect(after("10.9.9.9")).toBe("10.1.1.2");
  const all = ["10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.6"];
  expect(() => after("10.1.1.4", ...all)).toThrow("Every address of the network is taken");
  expect(after("10.1.1.4", ...all.filter((one) => one !== "10.1.1.4"))).toBe("10.1.1.4");
});

test("an address belongs to a network that has its range, or none at all", () => {
  const address = parseIp("10.1.1.9");
  expect(belongs({ id: "n", cidrs: ["10.2.0.0/16", "10.1.0.0/16"] }, address)).toBe(true);
  expect(belongs({ id: "n", cidrs: ["10.2.0.0/16"] }, address)).toBe(false);
  expect(belongs({ id: "n", cidrs: [] }, address)).toBe(true);
});
