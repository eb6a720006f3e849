/** Whether an address that was another's a moment ago is trusted. */

import { expect, test } from "bun:test";
import { parseIp, parseMac } from "../model/address.ts";
import { NeighbourHistory, type Trust } from "./neighbour-history.ts";

const A = parseIp("fd00::a");
const B = parseIp("fd00::b");
const ONE = parseMac("02:00:00:00:00:01");
const TWO = parseMac("02:00:00:00:00:02");
const MINUTE = 60_000;

type Step = (history: NeighbourHistory) => void;
const note =
  (address: typeof A, mac: typeof ONE, atMs: number, device = "eth0"): Step =>
  (history) =>
    history.note(address, device, mac, atMs);
const missed =
  (atMs: number): Step =>
  (history) =>
    history.missed(atMs);

const cases: Readonly<Record<string, [steps: Step[], atMs: number, trust: Trust]>> = {
  "nobody yet": [[], 0, "fresh"],
  "one that has come just now": [[note(A, ONE, 0)], 10, "fresh"],
  "one that is there for a while": [[note(A, ONE, 0)], 60, "steady"],
  "one that was another's a moment ago": [[note(A, ONE, 0), note(A, TWO, 900)], 1000, "changed"],
  "one that was another's nine minutes ago": [
    [note(A, ONE, 0), note(A, TWO, 900)],
    9 * MINUTE,
    "changed",
  ],
  "one that was another's long ago": [[note(A, ONE, 0), note(A, TWO, 900)], 11 * MINUTE, "steady"],
  "one that was another's between": [
    [note(A, ONE, 0), note(A, TWO, 900), note(A, ONE, 901)],
    1000,
    "changed",
  ],
  "the same address on another device": [[note(A, ONE, 0), note(A, TWO, 1, "eth1")], 60, "steady"],
  "one that came while news were lost": [[missed(100), note(A, ONE, 200)], 9 * MINUTE, "changed"],
  "one that came then, long after": [[missed(100), note(A, ONE, 200)], 11 * MINUTE, "steady"],
  "one that was there before news were lost": [[note(A, ONE, 0), missed(100)], 200, "steady"],
  "nobody, while news were lost": [[missed(100)], 200, "changed"],
  "one that was forgotten, because there are too many": [
    [note(A, ONE, 0), note(B, ONE, 1), note(parseIp("fd00::c"), ONE, 2), note(A, TWO, 3)],
    100,
    "changed",
  ],
};

test("addresses that went long ago give way to new ones without a word", () => {
  const history = new NeighbourHistory(2);
  const address = (i: number) => parseIp(`fd00::1:${i.toString(16)}`);
  for (let i = 0; i < 10; i++) history.note(address(i), "eth0", ONE, i * 11 * MINUTE);
  const nowMs = 9 * 11 * MINUTE;
  history.note(A, "eth0", ONE, nowMs + 11 * MINUTE);
  expect(history.trust(A, "eth0", nowMs + 11 * MINUTE + 100)).toBe("steady");
});

test("one that is still there is not the one that gives way", () => {
  const history = new NeighbourHistory(2);
  history.note(A, "eth0", ONE, 0);
  history.note(B, "eth0", ONE, 0);
  history.note(A, "eth0", ONE, 11 * MINUTE);
  history.note(parseIp("fd00::c"), "eth0", ONE, 11 * MINUTE);
  expect(history.trust(B, "eth0", 11 * MINUTE)).toBe("fresh");
  expect(history.trust(A, "eth0", 11 * MINUTE)).toBe("steady");
});

for (const [name, [steps, atMs, trust]] of Object.entries(cases)) {
  test(`${name}: ${trust}`, () => {
    const history = new NeighbourHistory(2);
    for (const step of steps) step(history);
    expect(history.trust(A, "eth0", atMs)).toBe(trust);
  });
}
