import { expect, test } from "bun:test";
import { contains, type Ip, parseCidr, parseIp } from "../model/address.ts";
import { NEWCOMER_MS, Newcomers } from "./newcomers.ts";

const MINUTE = 60_000;
const [A, B, OUTSIDE] = ["10.1.1.5", "10.1.1.6", "10.2.0.1"].map(parseIp) as [Ip, Ip, Ip];
const network = "204";

interface Desk {
  readonly newcomers: Newcomers;
  now: number;
}

function open(addressesMax?: number): Desk {
  const cidrs = ["10.1.1.0/24", "fd00::/64"].map(parseCidr);
  const newcomers = new Newcomers({
    isGuests: (address) => cidrs.some((cidr) => contains(cidr, address)),
    now: () => desk.now,
    ...(addressesMax !== undefined && { addressesMax }),
  });
  const desk = { newcomers, now: 1_000_000 };
  return desk;
}

test("an address of a network waits for 30 s from its first request on, another one never", () => {
  const desk = open();
  expect(desk.newcomers.wouldWait(A)).toBe(true);
  expect(desk.newcomers.ask(OUTSIDE)).toBe(false);
  expect(desk.newcomers.ask("no address at all:")).toBe(false);
  for (const [later, waits] of [
    [0, true],
    [NEWCOMER_MS - 1, true],
    [NEWCOMER_MS, false],
    [NEWCOMER_MS + 1, false],
  ] as const) {
    desk.now = 1_000_000 + later;
    expect(desk.newcomers.ask(A)).toBe(waits);
    expect(desk.newcomers.wouldWait(A)).toBe(waits);
  }
  // It counts for each address.
  expect(desk.newcomers.ask(B)).toBe(true);
});

test("to be asked about does not begin the time", () => {
  const desk = open();
  desk.newcomers.wouldWait(A);
  desk.now += MINUTE;
  expect(desk.newcomers.ask(A)).toBe(true);
});

test("one address is one, in every spelling that the kernel has", () => {
  const desk = open();
  desk.newcomers.ask("::ffff:10.1.1.5");
  desk.newcomers.ask("fd00::5%eth0");
  desk.now += NEWCOMER_MS;
  expect(desk.newcomers.ask(A)).toBe(false);
  expect(desk.newcomers.ask("fd00:0::5")).toBe(false);
});

test("who keeps asking is not new again, who was silent for ten minutes is", () => {
  const desk = open();
  desk.newcomers.ask(A);
  for (let minute = 0; minute < 60; minute++) {
    desk.now += MINUTE;
    expect(desk.newcomers.ask(A)).toBe(false);
  }
  desk.now += 10 * MINUTE;
  expect(desk.newcomers.ask(A)).toBe(true);
});

test("whose instance is gone need not wait, until ten silent minutes have passed", () => {
  const desk = open();
  desk.newcomers.tell([{ kind: "delete", network, address: A }]);
  for (const _ of [1, 2]) {
    expect(desk.newcomers.wouldWait(A)).toBe(false);
    expect(desk.newcomers.ask(A)).toBe(false);
    desk.now += 9 * MINUTE;
  }
  desk.now += MINUTE;
  expect(desk.newcomers.ask(A)).toBe(true);
});

test("whoever was known for a while is new when the store forgets it without a word", () => {
  const desk = open();
  desk.newcomers.ask(A);
  const withheld = { network, address: A, reason: "no-lease", epoch: 1, since: 0 } as const;
  desk.newcomers.tell([{ kind: "withhold", withheld }]);
  desk.now += NEWCOMER_MS;
  expect(desk.newcomers.ask(A)).toBe(true);
});

test("a full table tells nobody to wait, and has room when others were silent", () => {
  const desk = open(2);
  expect(desk.newcomers.ask(A)).toBe(true);
  desk.now += MINUTE;
  expect(desk.newcomers.ask(B)).toBe(true);
  for (let guest = 10; guest < 100; guest++) {
    expect(desk.newcomers.ask(`10.1.1.${guest}`)).toBe(false);
    expect(desk.newcomers.wouldWait(parseIp(`10.1.1.${guest}`))).toBe(false);
  }
  // Those who are in it are served as ever.
  expect(desk.newcomers.ask(B)).toBe(true);
  desk.now += 9 * MINUTE;
  expect(desk.newcomers.ask("10.1.1.10")).toBe(true);
  expect(desk.newcomers.ask("10.1.1.11")).toBe(false);
});

test("of many that are gone the oldest are forgotten", () => {
  const desk = open(2);
  for (const address of [A, B, parseIp("10.1.1.7")]) {
    desk.newcomers.tell([{ kind: "delete", network, address }]);
  }
  expect(desk.newcomers.ask(B)).toBe(false);
  expect(desk.newcomers.ask(A)).toBe(true);
});
