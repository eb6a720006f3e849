/**
 * Who had an address before, and what a restart or a loss on the router's side leaves of it: epochs
 * and passwords of the file source.
 */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { parseIp } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { DB, Lab, puts, SIGNAL, short, WEB } from "./testing.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

afterEach(() => lab[Symbol.asyncDispose]());

test("an address that passes to another instance begins a new epoch, also after it was gone", async () => {
  const at11 = (id: string, more = ""): string =>
    `instances:\n  - {id: ${id}, name: n, address: 127.0.0.11${more}}\n`;
  const cases: readonly (readonly [text: string, expected: readonly string[]])[] = [
    [at11("a"), ["put 127.0.0.11 a 1"]],
    [at11("b"), ["put 127.0.0.11 b 2"]],
    [at11("b", ", zone: z"), ["put 127.0.0.11 b 2"]],
    ["instances: []", ["delete 127.0.0.11"]],
    [at11("b"), ["put 127.0.0.11 b 3"]],
    ["instances: []", ["delete 127.0.0.11"]],
    [at11("a"), ["put 127.0.0.11 a 4"]],
    [at11("a", ", epoch: 9"), ["put 127.0.0.11 a 9"]],
    [at11("a"), []],
    [at11("c", ", epoch: 4"), ["put 127.0.0.11 c 10"]],
  ];
  for (const [text, expected] of cases) {
    lab.write(text);
    expect(await lab.told()).toEqual([...expected]);
  }
});

test("epochs go on after a restart, and what the file has no more is gone", async () => {
  const binding = (address: string, instance: string, epoch: number): Change => ({
    kind: "put",
    binding: {
      network: "lab",
      address: parseIp(address),
      epoch,
      instance,
      name: "n",
      keys: [],
      origin: { kind: "file", place: lab.file },
    },
  });
  (await lab.source).restore([
    binding("127.0.0.11", "i-web", 7),
    binding("127.0.0.12", "someone-else", 3),
    binding("127.0.0.13", "i-gone", 1),
    {
      kind: "withhold",
      withheld: {
        network: "lab",
        address: parseIp("127.0.0.14"),
        reason: "conflict",
        epoch: 5,
        since: 0,
      },
    },
  ]);
  lab.write(`instances:${WEB}${DB}`);
  expect(await lab.told()).toEqual([
    "put 127.0.0.11 i-web 7",
    "put 127.0.0.12 i-db 4",
    "delete 127.0.0.13",
    "delete 127.0.0.14",
  ]);
  lab.write(`instances:${WEB}${DB.replace(".12", ".14")}`);
  expect(await lab.told()).toEqual(["put 127.0.0.14 i-db 6", "delete 127.0.0.12"]);
});

test("no epoch that a password was kept for begins again after a restart", async () => {
  lab.write(`instances:${WEB}`);
  const binding = puts(await lab.poll())[0] as Binding;
  const cases: readonly (readonly [known: number, kept: number, begins: number])[] = [
    [1, 1, 1], // The password of the instance that is there.
    [4, 1, 4], // Of an epoch before.
    [1, 2, 3], // The address was gone, and only the ledger had written it down.
    [0, 5, 6], // Nothing else is known of the address.
  ];
  for (const [known, kept, begins] of cases) {
    const { network, address } = binding;
    const change: Change = { kind: "put", binding: { ...binding, epoch: known } };
    await using other = await lab.open({ firstStart: false });
    other.restore(known === 0 ? [] : [change], [{ network, address, epoch: kept }]);
    expect(puts(await other.poll(SIGNAL))[0]?.epoch).toBe(begins);
  }
});

test("a password is told once, with its epoch, to the default NIC's first IPv4 address", async () => {
  const record = (id: string, more: string): string => `instances:
  - id: ${id}
    name: n
    nics:
      - addresses: [10.0.0.1]
      - addresses: ["fd00::2", 10.0.0.2, 10.0.0.3]
        default: true
    ${more}
`;
  const cases: readonly (readonly [text: string, passwords: readonly string[]])[] = [
    [record("a", "password: one"), ["10.0.0.2 1 one standing"]],
    [record("a", "password: one\n    zone: z"), []],
    [record("a", "password: two"), ["10.0.0.2 1 two standing"]],
    [record("b", "password: two"), ["10.0.0.2 2 two standing"]],
    [record("b", "zone: z"), ["10.0.0.2 2 undefined standing"]],
    [record("b", "password: three"), ["10.0.0.2 2 three standing"]],
    [record("c", "zone: z"), []],
  ];
  for (const [text, expected] of cases) {
    lab.write(text);
    const changes = await lab.poll();
    expect(
      changes.flatMap((change) =>
        change.kind === "password"
          ? [
              `${change.address} ${change.epoch} ${change.password}` +
                (change.standing ? " standing" : ""),
            ]
          : [],
      ),
    ).toEqual([...expected]);
  }
});

test("what is in force at an address is told again, and nothing else", async () => {
  const source = await lab.source;
  const again = (address: string): string[] => source.again?.(parseIp(address)).map(short) ?? [];
  expect(again("127.0.0.11")).toEqual([]);
  lab.write(`networks: [{id: a}, {id: b}]
instances:
  - {id: i-web, name: n, address: 127.0.0.11, network: b, password: p, userData: "#!/bin/sh"}
  - {id: i-db, name: n, address: 127.0.0.12, network: a}
`);
  const first = puts(await lab.poll());
  // The password is not lost, and one that was acknowledged must not wait again.
  expect(source.again?.(parseIp("127.0.0.11"))).toEqual([
    { kind: "put", binding: first[0] as Binding },
  ]);
  expect(again("127.0.0.12")).toEqual(["put 127.0.0.12 i-db 1"]);
  expect(again("127.0.0.13")).toEqual([]);
  // It is no news for the next poll, and what the file has no more is not told.
  expect(await lab.told()).toEqual([]);
  lab.write("networks: [{id: a}, {id: b}]\ninstances: []\n");
  await lab.told();
  expect(again("127.0.0.11")).toEqual([]);
});
