import { expect, test } from "bun:test";
import { type Ip, parseIp } from "../../model/address.ts";
import { Bag, type Delta } from "./bag.ts";
import { type LeaseEntry, Leases, nameHash, readLease, readLeaseEntry } from "./leases.ts";
import { digestOf } from "./members.ts";
import { fileOf, slices, take } from "./testing.ts";

// A bag, written short: `1a 2b xa` is a lease of 10.0.0.1 with MAC …0a, one of .2 with MAC …0b,
// given back where an `x` stands before it.

test("a lease has a MAC, and says whether it was given back", () => {
  const mac_address = "02:00:5A:10:00:07";
  const mac = "02:00:5a:10:00:07" as never;
  expect(readLease({ mac_address, remove: false })).toEqual({ mac, removed: false });
  expect(readLease({ mac_address })).toEqual({ mac, removed: false });
  expect(readLease({ mac_address, remove: true })).toEqual({ mac, removed: true });
  expect(readLease({ mac_address, remove: "true" })).toEqual({ mac, removed: true });
  expect(readLease({ remove: true })).toEqual({ removed: true });
  const named = readLease({ mac_address, host_name: "Web-01" });
  expect(named).toEqual({ mac, removed: false, name: nameHash("web-01") });
  expect(nameHash("web-01")).not.toBe(nameHash("web-02"));
  for (const bad of [null, 1, "x", [], {}, { mac_address: "02:00" }, { mac_address: 1 }]) {
    expect(readLease(bad)).toBeUndefined();
  }
  expect(readLease({ mac_address: "bad", remove: true })).toBeUndefined();
});

test("leases follow the databag, and name the addresses whose lease is another", async () => {
  await check([
    ["1a 2b", "1a 2b", "1 2"],
    ["1a 2b", "1a 2b", ""],
    ["1a x2b", "1a x2b", "2"],
    ["1c 2b", "1c 2b", "1 2"],
    ["1c 2b 3d", "1c 2b 3d", "3"],
  ]);
});

test("a single lease that vanishes is gone", async () => {
  await check([
    ["1a 2b 3c 4d", "1a 2b 3c 4d", "1 2 3 4"],
    ["1a 2b 3c", "1a 2b 3c", "4"],
    ["1a", "1a", "2 3"],
  ]);
});

test("leases that vanish with their databag stay in force until they are seen", async () => {
  await check([
    ["1a 2b", "1a 2b", "1 2"],
    ["", "1a 2b lost 2", ""],
    ["3c", "1a 2b 3c lost 2", "3"],
    ["3c 1a", "1a 2b 3c lost 1", ""],
    ["3c 1a x2b", "1a x2b 3c", "2"],
  ]);
  await check([
    ["1a 2b 3c 4d 5e", "1a 2b 3c 4d 5e", "1 2 3 4 5"],
    ["6f", "1a 2b 3c 4d 5e 6f lost 5", "6"],
    ["6f 7a", "2b 3c 4d 5e 6f 7a lost 4", "1 7"],
    ["6f 7a 2c", "2c 4d 5e 6f 7a lost 2", "2 3"],
  ]);
});

test("half of the leases may vanish at once, and those given back never stay", async () => {
  await check([
    ["1a 2b 3c 4d", "1a 2b 3c 4d", "1 2 3 4"],
    ["1a 2b", "1a 2b", "3 4"],
  ]);
  await check([
    ["1a x2b x3c x4d", "1a x2b x3c x4d", "1 2 3 4"],
    ["", "1a lost 1", "2 3 4"],
  ]);
  await check([
    ["1a 2b 3c 4d", "1a 2b 3c 4d", "1 2 3 4"],
    ["5a 6b 7c 8d", "5a 6b 7c 8d", "1 2 3 4 5 6 7 8"],
  ]);
});

test("a command holds until the databag's own entry changes", async () => {
  await check([
    ["1a", "1a", "1"],
    ["!1b", "1b", "1"],
    ["1a 2c", "1b 2c", "2"],
    ["1d 2c", "1d 2c", "1"],
  ]);
  await check([
    ["1a", "1a", "1"],
    ["!3c", "1a 3c", "3"],
    ["1a 2b", "1a 2b 3c", "2"],
    ["1a 2b 3c", "1a 2b 3c", ""],
    ["1a 2b", "1a 2b", "3"],
  ]);
  await check([
    ["1a 2b", "1a 2b", "1 2"],
    ["!-1", "2b", "1"],
    ["1a 2b 3c", "2b 3c", "3"],
    ["x1a 2b 3c", "x1a 2b 3c", "1"],
  ]);
});

test("a command that gives a MAC to another address takes it from the first", async () => {
  await check([
    ["1a 2b", "1a 2b", "1 2"],
    ["!3a", "2b 3a", "3 1"],
    ["1a 2b", "2b 3a", ""],
    ["2b 3a", "2b 3a", ""],
  ]);
});

test("what an earlier run knew is in force until the databag says otherwise", async () => {
  const start = (leases: Leases): void => {
    leases.restore(address(1), { mac: mac("a"), removed: false }, undefined);
    leases.restore(address(2), { mac: mac("b"), removed: true }, undefined);
  };
  await check([["1a x2b", "1a x2b", ""]], start);
  await check([["1c x2b", "1c x2b", "1"]], start);
  await check([["1a", "1a", "2"]], start);
  await check([["", "1a lost 1", "2"]], start);
  await check([["3c", "3c", "1 2 3"]], start);
});

test("a command of an earlier run holds as long as the databag says the same", async () => {
  const over = digestOf(member("1a"));
  const start = (leases: Leases): void => {
    leases.restore(address(1), { mac: mac("b"), removed: false }, over);
    leases.restore(address(2), undefined, digestOf(member("2c")));
    leases.restore(address(3), { mac: mac("d"), removed: false }, "");
  };
  await check([["1a 2c", "1b 3d", ""]], start);
  await check([["1e 2e", "1e 2e 3d", "1 2"]], start);
});

test("a command that comes while the databag is read is newer than what was read", async () => {
  const bag = new Bag(readLeaseEntry);
  const leases = new Leases(bag);
  await read(bag, leases, "1a");
  const delta = await bag.read(fileOf(file("1c 2b")), slices());
  leases.command(address(1), { mac: mac("d"), removed: false });
  delta.commit();
  update(leases, delta, (overtaken) => overtaken === address(1));
  expect(show(leases)).toBe("1d 2b");
  await read(bag, leases, "1c 2b 3e");
  expect(show(leases)).toBe("1d 2b 3e");
});

test("an entry that is no lease keeps what the address had", async () => {
  const bag = new Bag(readLeaseEntry);
  const leases = new Leases(bag);
  await read(bag, leases, "1a 2b");
  const bad = '{"10.0.0.1":{"mac_address":"x"},"10.0.0.2":7,"id":"dhcpentry","else":{}}';
  expect(update(leases, await take(bag, bad))).toEqual([]);
  expect(show(leases)).toBe("1a 2b");
});

type Step = readonly [what: string, leases: string, touched: string];

async function check(steps: readonly Step[], start?: (leases: Leases) => void): Promise<void> {
  const bag = new Bag(readLeaseEntry);
  const leases = new Leases(bag);
  start?.(leases);
  for (const [what, expected, touched] of steps) {
    const said = what.startsWith("!") ? command(leases, what) : await read(bag, leases, what);
    const numbers = said.map((ip) => ip.split(".")[3]).join(" ");
    const lost = leases.lost === 0 ? "" : ` lost ${leases.lost}`;
    const sorted = (text: string): string => text.split(" ").sort().join(" ");
    expect([what, show(leases) + lost, sorted(numbers)]).toEqual([what, expected, sorted(touched)]);
  }
}

function command(leases: Leases, what: string): string[] {
  if (what.startsWith("!-")) return leases.command(address(Number(what[2])), undefined);
  return leases.command(address(Number(what[1])), { mac: mac(what[2] ?? ""), removed: false });
}

async function read(bag: Bag<LeaseEntry>, leases: Leases, what: string): Promise<string[]> {
  return update(leases, await take(bag, file(what)));
}

function update(
  leases: Leases,
  delta: Delta<LeaseEntry>,
  isOvertaken: (address: Ip) => boolean = () => false,
): Ip[] {
  const touched = new Set<Ip>();
  for (const _ of leases.update(delta, isOvertaken, (address) => touched.add(address)));
  return [...touched];
}

function show(leases: Leases): string {
  const shown: string[] = [];
  for (let i = 1; i < 10; i++) {
    const lease = leases.get(address(i));
    if (lease !== undefined) shown.push(`${lease.removed ? "x" : ""}${i}${lease.mac?.at(-1)}`);
  }
  return shown.join(" ");
}

function file(what: string): string {
  const entries = what.split(" ").filter((word) => word !== "");
  const members = entries.map((word) => entry(word)).map(([ip, json]) => `"${ip}":${json}`);
  return `{${[...members, '"id":"dhcpentry"'].join(",")}}`;
}

/** An entry's bytes as they stand in the file. */
function member(word: string): Buffer {
  const [ip, json] = entry(word);
  return Buffer.from(`"${ip}":${json}`);
}

function entry(word: string): [string, string] {
  const remove = word.startsWith("x");
  const [number = "", letter = ""] = word.replace("x", "");
  return [address(Number(number)), JSON.stringify({ mac_address: mac(letter), remove })];
}

function address(number: number): ReturnType<typeof parseIp> {
  return parseIp(`10.0.0.${number}`);
}

function mac(letter: string): never {
  return `02:00:00:00:00:0${letter}` as never;
}
