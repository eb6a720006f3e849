import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import {
  BagDir,
  edit,
  entry,
  type Json,
  Lab,
  lease,
  leases,
  served,
  shorten,
  X,
  Y,
} from "./testing.ts";

const Z = "10.1.1.7";

test("commands are told at once, and only what they change", async () => {
  await using lab = await served();
  expect(said(lab.apply(metadata(X, entry("I"))))).toEqual([]);
  expect(said(lab.apply(metadata(X, entry("I", [["a", "1"]]))))).toEqual([`${X} serve 1 I`]);
  expect(said(lab.apply(metadata(X, entry("I", [["a", "1"]]))))).toEqual([]);
  expect(said(lab.apply(dhcp(X, "0a")))).toEqual([]);
  expect(said(lab.apply(password(X, "secret")))).toEqual([`${X} password 1 secret apply`]);
  expect(said(lab.apply(password(X, "secret")))).toEqual([`${X} password 1 secret apply`]);
  expect(said(lab.apply(password(X, "saved_password")))).toEqual([`${X} password 1 - apply`]);
  expect(await lab.told()).toEqual([]);
});

test("an instance's three commands make its binding, in CloudStack's order", async () => {
  await using lab = await served();
  expect(said(lab.apply(dhcp(Z, "0e")))).toEqual([]);
  expect(said(lab.apply(password(Z, "secret")))).toEqual([
    `${Z} awaiting-metadata 1`,
    `${Z} password 1 secret apply`,
  ]);
  expect(said(lab.apply(metadata(Z, entry("N"))))).toEqual([`${Z} serve 1 N`]);
  expect((lab.known.get(Z as Ip) as Binding).mac as string).toBe("02:00:00:00:00:0e");
  expect(lab.keys(Z)["instance-id"]).toBe("N");
});

test("the next instance's commands begin an epoch with its lease", async () => {
  await using lab = await served();
  expect(said(lab.apply(dhcp(X, "0b")))).toEqual([`${X} awaiting-metadata 2`]);
  expect(said(lab.apply(password(X, "secret")))).toEqual([`${X} password 2 secret apply`]);
  expect(said(lab.apply(metadata(X, entry("J"))))).toEqual([`${X} serve 2 J`]);
  expect(said(lab.apply(dhcp(X, "0b", true)))).toEqual([`${X} lease-removed 2`]);
});

test("metadata that is sent again after a new MAC has arrived, be it the same", async () => {
  await using lab = await served();
  lab.apply(dhcp(X, "0b"));
  expect(said(lab.apply(metadata(X, entry("I"))))).toEqual([`${X} serve 2 I`]);
});

test("a command holds until the databag's own entry changes", async () => {
  await using lab = await served();
  lab.apply(metadata(X, entry("I", [["a", "command"]])));
  edit(lab, { [Y]: entry("M", [["b", "2"]]) });
  expect(await lab.told()).toEqual([`${Y} serve 1 M`]);
  expect(lab.keys(X).a).toBe("command");
  // CloudStack merges the command.
  edit(lab, { [X]: entry("I", [["a", "command"]]) });
  expect(await lab.told()).toEqual([]);
  edit(lab, { [X]: entry("I", [["a", "bag"]]) });
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  expect(lab.keys(X).a).toBe("bag");
  expect((lab.known.get(X as Ip) as Binding).origin.kind).toBe("databag");
});

test("what a command brought stays when the databag has lost the entry", async () => {
  await using lab = await served();
  const before = lab.dir.read("vmdata.json");
  lab.apply(metadata(X, entry("I", [["a", "command"]])));
  lab.dir.write("vmdata.json", { id: "vmdata" });
  expect(await lab.told()).toEqual([]);
  lab.dir.write("vmdata.json", before);
  expect(await lab.told()).toEqual([]);
  expect(lab.keys(X).a).toBe("command");
});

test("a lease that a command brought holds until the databag's own changes", async () => {
  await using lab = await served();
  lab.apply(dhcp(X, "0b"));
  lab.apply(metadata(X, entry("J")));
  leases(lab, { [Y]: lease("0d", true) });
  expect(await lab.told()).toEqual([`${Y} lease-removed 1`]);
  expect(lab.at(X)).toBe(`${X} serve 2 J`);
  leases(lab, { [X]: lease("0b") });
  edit(lab, { [X]: entry("J") });
  await lab.poll();
  expect(lab.at(X)).toBe(`${X} serve 2 J`);
});

test("a MAC that a command gives to another address has left the first", async () => {
  await using lab = await served();
  expect(said(lab.apply(dhcp(Z, "0a")))).toEqual([`${X} no-lease 1`]);
  expect(said(lab.apply({ ...dhcp(Y, "0d"), add: false }))).toEqual([`${Y} no-lease 1`]);
});

test("a lease that comes back needs the databag's entry, which is read again", async () => {
  await using lab = await served();
  lab.apply(dhcp(X, "0a", true));
  expect(said(lab.apply(dhcp(X, "0a")))).toEqual([`${X} serve 1 I`]);
  expect(lab.keys(X)["instance-id"]).toBe("I");
  // While the file cannot be read, nothing is answered; afterwards it is.
  lab.apply(dhcp(X, "0a", true));
  const before = lab.dir.read("vmdata.json");
  rmSync(join(lab.dir.path, "vmdata.json"));
  expect(said(lab.apply(dhcp(X, "0a")))).toEqual([]);
  expect(await lab.told()).toEqual([]);
  expect(lab.at(X)).toBe(`${X} lease-removed 1`);
  lab.dir.write("vmdata.json", before);
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
});

test("commands may come before the databags are read", async () => {
  await using lab = await new Lab((await served()).dir).open();
  expect(said(lab.apply(metadata(Z, entry("N"))))).toEqual([`${Z} serve 1 N`]);
  const told = await lab.told();
  expect(told.filter((text) => text.startsWith(Z))).toEqual([
    `${Z} delete guest`,
    `${Z} no-lease 2`,
  ]);
});

test("an address outside every network is reported, and nothing is told of it", async () => {
  await using lab = await served();
  expect(said(lab.apply(metadata("192.0.2.1", entry("far"))))).toEqual([]);
  expect(said(lab.apply(password("192.0.2.1", "secret")))).toEqual([]);
  expect(lab.raised).toEqual(["ADDRESS_OUTSIDE 192.0.2.1"]);
});

// Goal: a command overtakes a poll that is under way, and is not undone by it.
// Method: start a poll that has much to read, apply in each of its steps, and compare what the
// router knows in the end with the command.
test("commands that come while the databags are read are not undone by what was read", async () => {
  await using lab = await served();
  const many = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`10.1.1.${100 + (i % 100)}`, entry(`n${i}`)]),
  );
  for (let round = 0; round < 30; round++) {
    edit(lab, { ...many, [X]: entry("I", [["round", `bag ${round}`]]) });
    const running = lab.poll();
    for (let step = 0; step < round; step++) await new Promise((resolve) => setImmediate(resolve));
    const told = lab.apply(metadata(X, entry("I", [["round", `command ${round}`]])));
    const late = await running;
    expect(lab.keys(X).round).toBe(`command ${round}`);
    expect([...told, ...late].filter((change) => isOf(change, X)).length).toBeLessThanOrEqual(2);
    await lab.poll();
    expect(lab.keys(X).round).toBe(`command ${round}`);
  }
});

test("a command costs the same however many instances there are", async () => {
  await using lab = await served();
  const many: Record<string, Json> = {};
  for (let i = 0; i < 20_000; i++)
    many[`10.${2 + (i >> 14)}.${(i >> 7) & 127}.${i & 127}`] = entry(`n${i}`);
  lab.dir.write("ips.json", {
    eth0: [{ add: true, nw_type: "guest", public_ip: "10.1.1.1", cidr: "10.0.0.0/8" }],
  });
  edit(lab, many);
  await lab.poll();
  const began = performance.now();
  for (let i = 0; i < 1000; i++) lab.apply(metadata(X, entry("I", [["n", `${i}`]])));
  // A walk over all of them would take a millisecond at the least, for each.
  expect(performance.now() - began).toBeLessThan(1000);
});

function said(changes: readonly Change[]): string[] {
  return changes.map(shorten);
}

function isOf(change: Change, address: string): boolean {
  return shorten(change).startsWith(address);
}

function metadata(address: string, vm_metadata: Json): Json {
  return { type: "vmdata", vm_ip_address: address, vm_metadata };
}

function password(address: string, value: string): Json {
  return { type: "vmpassword", ip_address: address, password: value };
}

function dhcp(address: string, mac: string, remove = false): Json {
  return { ...lease(mac, remove), ipv4_address: address };
}

// Goal: a look that a command causes in the middle of a reading takes nothing from what the reading
// says at once. Method: the address passes on, and older metadata of it changes, in one reading so
// long that commands for the address come between any two of its steps.
test("a password in the middle of a reading makes old metadata no news", async () => {
  const dir = new BagDir();
  const bag: Json = {};
  const leased: Json = {};
  for (let i = 0; i < 8000; i++) bag[`10.1.${2 + (i >> 8)}.${i & 255}`] = entry(`i${i}`);
  // The last to be read, so that much comes before it.
  bag[X] = entry("I");
  leased[X] = lease("0a");
  for (const [i, key] of Object.keys(bag).entries()) {
    const mac = `02:00:00:01:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    leased[key] ??= { ...lease("00"), mac_address: mac };
  }
  dir.write("vmdata.json", bag);
  dir.write("dhcpentry.json", leased);
  await using lab = await new Lab(dir).open();
  await lab.poll();
  const more: Json = {};
  for (const [key, items] of Object.entries(bag)) {
    more[key] = [...(items as unknown[]), ["metadata", "availability-zone", "z2"]] as never;
  }
  dir.write("vmdata.json", more);
  await Bun.sleep(25); // So that the stamps tell which was written later.
  dir.write("dhcpentry.json", { ...leased, [X]: lease("0c") });
  let commands = 0;
  let on = true;
  const interrupt = (): void => {
    lab.apply({ type: "vmpassword", ip_address: X, password: `p${commands++}` });
    if (on) setImmediate(interrupt);
  };
  interrupt();
  await lab.poll();
  on = false;
  expect(commands).toBeGreaterThan(10);
  expect(lab.at(X)).toBe(`${X} awaiting-metadata 2`);
});
