/** Which addresses without a lease the firewall keeps. */

import { expect, test } from "bun:test";
import { parseIp, parseMac } from "../model/address.ts";
import { LearnedAddresses } from "./learned.ts";

const ONE = parseMac("02:00:00:00:00:01");
const TWO = parseMac("02:00:00:00:00:02");
const at = (i: number, device = "eth0") => ({
  ...{ address: parseIp(`fe80::${i.toString(16)}`), device },
});

function make() {
  const gone: string[] = [];
  const learned: LearnedAddresses = new LearnedAddresses((each) => {
    expect(learned.isKnown(each, ONE, 0) || learned.isKnown(each, TWO, 0)).toBe(false);
    gone.push(`${each.address}%${each.device}`);
  });
  return { learned, gone };
}

test("a guest that makes many addresses loses its own oldest, and nobody else any", () => {
  const { learned, gone } = make();
  learned.add(at(1), TWO, 0);
  for (let i = 2; i < 100; i++) learned.add(at(i), ONE, i * 1000);
  expect(learned.size).toBe(17);
  expect(learned.isKnown(at(1), TWO, 0)).toBe(true);
  expect(gone.slice(0, 2)).toEqual(["fe80::2%eth0", "fe80::3%eth0"]);
});

test("a guest with more addresses than that has another one a second later, and not sooner", () => {
  const { learned, gone } = make();
  for (let i = 1; i <= 16; i++) expect(learned.add(at(i), ONE, 0)).toBe(true);
  for (let i = 17; i < 100; i++) expect(learned.add(at(i), ONE, 999)).toBe(false);
  expect(learned.add(at(17), TWO, 999)).toBe(true);
  expect(gone).toEqual([]);
  expect([learned.add(at(18), ONE, 1000), learned.add(at(19), ONE, 1001)]).toEqual([true, false]);
  expect(gone).toEqual(["fe80::1%eth0"]);
});

test("one from which nobody asks is forgotten after ten minutes", () => {
  const { learned, gone } = make();
  learned.add(at(1), ONE, 0);
  learned.add(at(2), ONE, 0);
  expect(learned.isKnown(at(1), ONE, 500_000)).toBe(true);
  expect(learned.isKnown(at(1), TWO, 500_000)).toBe(false);
  learned.sweep(601_000);
  expect(gone).toEqual(["fe80::2%eth0"]);
});

test("an address that passes to another guest is that one's", () => {
  const { learned, gone } = make();
  learned.add(at(1), ONE, 0);
  learned.add(at(1), TWO, 1);
  expect([learned.size, learned.isKnown(at(1), TWO, 1), gone]).toEqual([1, true, []]);
});

test("one address on two devices is two, and a lease ends both", () => {
  const { learned, gone } = make();
  learned.add(at(1, "eth0"), ONE, 0);
  learned.add(at(1, "eth1"), TWO, 0);
  expect(learned.isKnown(at(1, "eth0"), ONE, 0)).toBe(true);
  learned.forget(at(2).address);
  expect(gone).toEqual([]);
  learned.forget(at(1).address);
  expect(gone).toEqual(["fe80::1%eth0", "fe80::1%eth1"]);
});

test("all together are bounded", () => {
  const { learned, gone } = make();
  for (let i = 0; i < 8200; i++) {
    const last = i.toString(16).padStart(4, "0");
    const mac = parseMac(`02:00:00:00:${last.slice(0, 2)}:${last.slice(2)}`);
    learned.add(at(i + 1), mac, i);
  }
  expect([learned.size, gone.length]).toEqual([8192, 8]);
});
