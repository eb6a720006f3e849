import { expect, test } from "bun:test";
import { ATTEMPTS_MAX, ATTEMPTS_MS, Attempts, PEERS_MAX } from "./attempts.ts";

test("each peer has its own count, and an IPv6 host one for all its addresses", () => {
  const cases: readonly (readonly [a: string, b: string, same: boolean])[] = [
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.2", false],
    ["2001:db8::1", "2001:db8::2", true],
    ["2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", true],
    ["2001:db8::1", "2001:db8:0:1::1", false],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", true],
    ["fe80::1%eth0", "fe80::2%eth1", true],
    ["::1", "::2", true],
  ];
  for (const [a, b, same] of cases) {
    const attempts = new Attempts(() => 0);
    for (let i = 0; i <= ATTEMPTS_MAX; i++) attempts.fail(a);
    expect([a, b, attempts.fail(b) !== undefined]).toEqual([a, b, same]);
  }
});

test("a window ends, also when the clock goes back", () => {
  let now = 1_000_000;
  const attempts = new Attempts(() => now);
  const fill = () => Array.from({ length: ATTEMPTS_MAX + 1 }, () => attempts.fail("p")).at(-1);
  expect(fill()).toBe(ATTEMPTS_MS / 1000);
  now += ATTEMPTS_MS - 1;
  expect(attempts.fail("p")).toBe(1);
  now += 1;
  expect(attempts.fail("p")).toBeUndefined();
  expect(fill()).toBeGreaterThan(0);
  now = 0;
  expect(attempts.fail("p")).toBeUndefined();
});

test("any number of peers takes bounded memory: the oldest is forgotten", () => {
  const attempts = new Attempts(() => 0);
  for (let n = 0; n < ATTEMPTS_MAX; n++) {
    attempts.fail("first");
    attempts.fail("second");
  }
  for (let i = 2; i <= PEERS_MAX; i++) {
    expect(attempts.isOver("first")).toBe(true);
    attempts.fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  }
  expect([attempts.isOver("first"), attempts.isOver("second")]).toEqual([false, true]);
});
