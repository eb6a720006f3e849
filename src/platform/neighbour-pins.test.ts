/** Permanent neighbours: which rows are made, changed and left alone. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIp, parseMac } from "../model/address.ts";
import { applyPins, type Pin, planPins } from "./neighbour-pins.ts";
import { parseNeighbour } from "./neighbour-table.ts";

const ONE = parseMac("02:00:00:00:00:01");
const TWO = parseMac("02:00:00:00:00:02");
const OURS = `10.1.1.5 dev eth0 lladdr ${ONE} PERMANENT proto 205`;

test("rows are made, changed and removed; what is right stays", () => {
  const replace = (mac: string) =>
    `neigh replace 10.1.1.5 lladdr ${mac} dev eth0 nud permanent protocol 205`;
  check([], [pin("10.1.1.5", ONE)], [replace(ONE)]);
  check([OURS], [pin("10.1.1.5", ONE)], []);
  check([OURS], [pin("10.1.1.5", TWO)], [replace(TWO)]);
  check([OURS], [], ["neigh del 10.1.1.5 dev eth0"]);
  check(
    [OURS],
    [pin("10.1.1.5", ONE, "eth1")],
    [
      "neigh del 10.1.1.5 dev eth0",
      `neigh replace 10.1.1.5 lladdr ${ONE} dev eth1 nud permanent protocol 205`,
    ],
  );
  check([`10.1.1.5 dev eth0 lladdr ${TWO} STALE`], [pin("10.1.1.5", ONE)], [replace(ONE)]);
});

test("permanent rows of others are never changed nor removed", () => {
  const others = [
    `10.1.1.5 dev eth0 lladdr ${TWO} PERMANENT`,
    `10.1.1.6 dev eth0 lladdr ${TWO} PERMANENT proto static`,
  ];
  check(others, [], []);
  check(others, [pin("10.1.1.5", ONE), pin("10.1.1.6", ONE)], [], ["10.1.1.5", "10.1.1.6"]);
});

test("a device of an odd name is passed over: no word of it reaches ip", () => {
  fc.assert(
    fc.property(fc.string(), (device) => {
      for (const command of plan([], [pin("10.1.1.5", ONE, device)]).commands) {
        expect(command.split(/\s+/)).toHaveLength(11);
        expect(command).not.toMatch(/["'\\#\n]/);
      }
    }),
  );
});

test("a kernel that refuses is an error with its words", async () => {
  const refused = applyPins([pin("10.1.1.5", ONE)], (argv) => ({
    ended: Promise.resolve({
      code: argv.includes("-batch") ? 1 : 0,
      complaint: "RTNETLINK answers: Operation not permitted",
    }),
    stop: () => {},
  }));
  expect(refused).rejects.toThrow("Operation not permitted");
});

test("a row that is gone already is not missed", async () => {
  const complaint = "RTNETLINK answers: No such file or directory; Command failed -:1";
  const { commands } = await applyPins([], (argv, { onLine }) => {
    const isBatch = argv.includes("-batch");
    if (!isBatch) onLine(OURS);
    return { ended: Promise.resolve({ code: isBatch ? 1 : 0, complaint }), stop: () => {} };
  });
  expect(commands).toHaveLength(1);
});

function pin(address: string, mac: Pin["mac"], device = "eth0"): Pin {
  return { address: parseIp(address), mac, device };
}

function plan(present: readonly string[], wanted: readonly Pin[]) {
  return planPins(
    present.flatMap((line) => parseNeighbour(line) ?? []),
    wanted,
  );
}

function check(
  present: readonly string[],
  wanted: readonly Pin[],
  commands: readonly string[],
  foreign: readonly string[] = [],
): void {
  expect(plan(present, wanted)).toEqual({ commands, foreign } as never);
}
