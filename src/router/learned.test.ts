/** Which addresses without a lease the firewall keeps. */

import { expect, test } from "bun:test";
import { parseIp, parseMac } from "../model/address.ts";
import { LearnedAddresses } from "./learned.ts";

const ONE = parseMac("02:00:00:00:00:01");
const TWO = parseMac("02:00:00:00:00:02");
const address = (i: number) => parseIp(`fd00::${i.toString(16)}`);

function make() {
  const gone: string[] = [];
  const learned: LearnedAddresses = new LearnedAddresses((each) => {
    expect(learned.macOf(each)).toBeUndefined();
    gone.push(each);
  });
  return { learned, gone };
}

test("a guest that makes many addresses loses its own oldest, and nobody else any", () => {
  const { learned, gone } = make();
  learned.add(address(1), TWO, 0);
  for (let i = 2; i < 100; i++) learned.add(address(i), ONE, i);
  expect(learned.size).toBe(17);
  expect(learned.macOf(address(1))).toBe(TWO);
  expect(gone.slice(0, 2)).toEqual(["fd00::2", "fd00::3"]);
});

test("one from which nobody asks is forgotten after ten minutes", () => {
  const { learned, gone } = make();
  learned.add(address(1), ONE, 0);
  learned.add(address(2), ONE, 0);
  expect(learned.isKnown(address(1), ONE, 500_000)).toBe(true);
  expect(learned.isKnown(address(1), TWO, 500_000)).toBe(false);
  learned.sweep(601_000);
  expect(gone).toEqual(["fd00::2"]);
});

test("an address that passes to another guest is that one's", () => {
  const { learned, gone } = make();
  learned.add(address(1), ONE, 0);
  learned.add(address(1), TWO, 1);
  expect([learned.size, learned.macOf(address(1)), gone]).toEqual([1, TWO, []]);
});

test("all together are bounded", () => {
  const { learned, gone } = make();
  for (let i = 0; i < 8200; i++) {
    const last = i.toString(16).padStart(4, "0");
    const mac = parseMac(`02:00:00:00:${last.slice(0, 2)}:${last.slice(2)}`);
    learned.add(address(i + 1), mac, i);
  }
  expect([learned.size, gone.length]).toEqual([8192, 8]);
});
