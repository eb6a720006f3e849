import { expect, test } from "bun:test";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { CommandError } from "../../model/errors.ts";
import {
  BagDir,
  commands,
  edit,
  entry,
  guest,
  type Json,
  Lab,
  lease,
  leases,
  served,
  shorten,
  X,
  Y,
} from "./testing.ts";

test("the first poll tells everything that four topologies know", async () => {
  const told = async (topology: string): Promise<string[]> => {
    await using lab = await new Lab(new BagDir(topology)).open();
    const changes = await lab.told();
    return [...changes, ...lab.raised];
  };
  expect(await told("isolated")).toEqual([
    "10.1.1.57 serve 1 5d6a7f10",
    "10.1.1.57 password 1 fN7xvQ2p vmpassword.json standing",
    "10.1.1.58 serve 1 8c9b0a1f",
    "10.1.1.59 no-lease 1",
  ]);
  expect(await told("vpc")).toEqual([
    "10.20.1.101 serve 1 11aa22bb",
    "10.20.1.101 password 1 - vmpassword.json standing",
    "10.20.2.102 serve 1 22bb33cc",
  ]);
  expect(await told("redundant")).toEqual([
    "10.9.0.101 serve 1 44dd55ee",
    "10.9.0.101 password 1 hU3kz9Qe vmpassword.json standing",
    "LEASES_ABSENT dhcpentry.json",
  ]);
  expect(await told("shared")).toEqual(["198.51.100.77 serve 1 33cc44dd"]);
});

test("a binding has the lease's MAC, the network's id, and the entry's digest", async () => {
  await using lab = await new Lab(new BagDir("vpc")).open();
  await lab.poll();
  const binding = lab.known.get("10.20.2.102" as Ip) as Binding;
  const { network, mac, instance, name, origin, userData } = binding;
  expect([network, String(mac), name, userData]).toEqual([
    "219",
    "02:00:6b:30:00:04",
    "cache-01",
    undefined,
  ]);
  expect(instance).toBe("22bb33cc-44dd-45ee-86ff-778899aabbcc");
  expect(origin).toMatchObject({ kind: "databag", place: "vmdata.json" });
  expect(binding.note).toMatch(/^[\w-]{22}$/);
});

test("the commands of a topology say what its databags say", async () => {
  for (const topology of ["isolated", "vpc", "shared", "redundant"]) {
    await using bags = await new Lab(new BagDir(topology)).open();
    await bags.poll();
    const dir = new BagDir();
    dir.write("vmdata.json", { id: "vmdata" });
    for (const name of ["ips.json", "cmdline.json", "guestnetwork.json"]) {
      if (name !== "guestnetwork.json" || topology === "vpc") {
        dir.write(name, bags.dir.read(name));
      }
    }
    await using applied = await new Lab(dir).open();
    await applied.poll();
    for (const { name, text } of commands(topology)) {
      if (/vm_(metadata|password|dhcp_entry)/.test(name)) applied.apply(text, name);
      else expect(() => applied.apply(text, name)).toThrow(CommandError);
    }
    for (const [address, known] of bags.known) {
      if (!("keys" in known)) continue;
      const { origin, note: _note, ...rest } = applied.known.get(address) as Binding;
      expect(origin).toMatchObject({ kind: "apply", place: "vm_metadata" });
      const { origin: _, note: __, ...expected } = known;
      expect(rest).toEqual(expected);
    }
  }
});

test("one changed instance is one change; the same again is none", async () => {
  await using lab = await served();
  expect(await lab.told()).toEqual([]);
  edit(lab, { [X]: entry("I", [["tier", "front"]]) });
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  expect(lab.keys(X)).toEqual({ "local-hostname": "host-I", "instance-id": "I", tier: "front" });
  lab.dir.writeText("vmdata.json", JSON.stringify(lab.dir.read("vmdata.json")));
  expect(await lab.told()).toEqual([]);
  edit(lab, { "10.1.1.9": entry("new") });
  expect(await lab.told()).toEqual(["10.1.1.9 no-lease 1"]);
});

test("an instance is served as long as its lease lives", async () => {
  await using lab = await served();
  leases(lab, { [X]: lease("0a", true) });
  expect(await lab.told()).toEqual([`${X} lease-removed 1`]);
  leases(lab, { [X]: lease("0a") });
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  leases(lab, { [X]: undefined });
  expect(await lab.told()).toEqual([`${X} no-lease 1`]);
  leases(lab, { [X]: lease("0a") });
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  expect(lab.raised).toEqual([]);
});

test("an address that passes on waits for the new instance's metadata", async () => {
  await using lab = await served();
  leases(lab, { [X]: lease("0b") });
  expect(await lab.told()).toEqual([`${X} awaiting-metadata 2`]);
  edit(lab, { [X]: entry("J") });
  expect(await lab.told()).toEqual([`${X} serve 2 J`]);
  expect((lab.known.get(X as Ip) as Binding).mac as string).toBe("02:00:00:00:00:0b");
  leases(lab, { [X]: lease("0c") });
  edit(lab, { [X]: entry("K") });
  expect(await lab.told()).toEqual([`${X} serve 3 K`]);
});

test("another formatting of the former's metadata is not the new instance's", async () => {
  await using lab = await served();
  leases(lab, { [X]: lease("0b") });
  await lab.poll();
  lab.dir.writeText("vmdata.json", JSON.stringify(lab.dir.read("vmdata.json")));
  await lab.poll();
  expect(lab.at(X)).toBe(`${X} awaiting-metadata 2`);
  edit(lab, { [X]: entry("I", [["tier", "front"]]) });
  expect(await lab.told()).toEqual([`${X} serve 2 I`]);
});

test("metadata that does not come is reported after 30 s, until it comes", async () => {
  await using lab = await served();
  leases(lab, { [X]: lease("0b") });
  await lab.poll();
  lab.now += 29_999;
  await lab.poll();
  expect(lab.raised).toEqual([]);
  lab.now += 1;
  await lab.poll();
  expect(lab.raised).toEqual([`METADATA_LATE ${X}`]);
  edit(lab, { [X]: entry("J") });
  await lab.poll();
  expect(lab.raised).toEqual([]);
});

test("entries that vanish stay served and are reported, as long as their lease lives", async () => {
  await using lab = await served();
  lab.dir.write("vmdata.json", { id: "vmdata" });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual(["SOURCE_SHRANK vmdata.json"]);
  leases(lab, { [Y]: lease("0d", true) });
  expect(await lab.told()).toEqual([`${Y} lease-removed 1`]);
  expect(lab.detail("SOURCE_SHRANK")).toBe("1 entry is kept");
  edit(lab, { [X]: entry("I") });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual([]);
  // What is lost is lost: a lease alone brings nothing back.
  leases(lab, { [Y]: lease("0d") });
  expect(await lab.told()).toEqual([`${Y} awaiting-metadata 1`]);
});

test("leases that are lost with their databag stay in force", async () => {
  await using lab = await served();
  lab.dir.write("dhcpentry.json", { id: "dhcpentry" });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual(["SOURCE_SHRANK dhcpentry.json"]);
  lab.dir.write("dhcpentry.json", { [X]: lease("0a"), [Y]: lease("0d"), id: "dhcpentry" });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual([]);
});

test("without lease data every entry is served; the first leases switch the check on", async () => {
  await using lab = await served();
  await using off = new Lab(new BagDir());
  off.dir.write("vmdata.json", lab.dir.read("vmdata.json"));
  off.dir.write("dhcpentry.json", { id: "dhcpentry" });
  await off.open();
  expect(await off.told()).toEqual([`${X} serve 1 I`, `${Y} serve 1 M`]);
  expect(off.raised).toEqual(["LEASES_ABSENT dhcpentry.json"]);
  off.dir.write("dhcpentry.json", { [X]: lease("0a"), id: "dhcpentry" });
  expect((await off.told()).sort()).toEqual([`${X} serve 1 I`, `${Y} no-lease 1`]);
  expect(off.raised).toEqual([]);
});

test("an address outside every guest network is not served, and its epoch has ended", async () => {
  await using lab = await served();
  edit(lab, { "192.0.2.1": entry("far") });
  leases(lab, { "192.0.2.1": lease("0f") });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual(["ADDRESS_OUTSIDE 192.0.2.1"]);
  const ips = lab.dir.read("ips.json");
  lab.dir.write("ips.json", { ...ips, eth0: [guest("192.0.2.254")] });
  expect((await lab.told()).sort()).toEqual([
    `${X} delete eth0`,
    `${Y} delete eth0`,
    "192.0.2.1 serve 1 far",
  ]);
  lab.dir.write("ips.json", ips);
  expect((await lab.told()).sort()).toEqual([
    `${X} serve 2 I`,
    `${Y} serve 2 M`,
    "192.0.2.1 delete eth0",
  ]);
});

test("a network that gets another name is another network", async () => {
  await using lab = await served();
  lab.dir.write("guestnetwork.json", { eth0: [{ add: true, network_id: 204 }], id: "x" });
  expect(await lab.told()).toEqual([
    `${X} delete eth0`,
    `${X} serve 2 I`,
    `${Y} delete eth0`,
    `${Y} serve 2 M`,
  ]);
  expect(lab.known.get(X as Ip)?.network).toBe("204");
});

test("what cannot be served of an entry is reported for as long as it is so", async () => {
  await using lab = await served();
  edit(lab, { [X]: entry("I", [["../x", "y"]]), [Y]: [["userdata", "user-data", "A"]] as never });
  await lab.poll();
  expect(lab.raised.sort()).toEqual([`KEY_REFUSED ${X}`, `USER_DATA_INVALID ${Y}`]);
  expect(lab.detail("KEY_REFUSED")).toBe('"../x"');
  edit(lab, { [X]: entry("I"), [Y]: entry("M") });
  await lab.poll();
  expect(lab.raised).toEqual([]);
});

test("what is in force is told again when the router has lost it", async () => {
  await using lab = await served();
  const before = lab.known.get(X as Ip);
  expect(lab.take(lab.source.again?.(X as Ip) ?? []).map(shorten)).toEqual([`${X} serve 1 I`]);
  expect(lab.known.get(X as Ip)).toEqual(before as Binding);
  expect(lab.source.again?.("10.1.1.99" as Ip)).toEqual([]);
  expect(await lab.told()).toEqual([]);
});

test("a long reading shows what it has found before its end", async () => {
  const dir = new BagDir();
  const count = 5000;
  const bag: Json = {};
  for (let i = 0; i < count; i++) bag[`10.1.${i >> 8}.${i & 255}`] = entry(`i${i}`);
  dir.write("vmdata.json", bag);
  await using lab = await new Lab(dir).open();
  const shown: Change[][] = [];
  const rest = await lab.source.poll(new AbortController().signal, (some) => shown.push([...some]));
  expect(shown.length).toBeGreaterThan(0);
  const told = [...shown.flat(), ...rest].map(shorten);
  expect(new Set(told).size).toBe(count);
  expect(told).toHaveLength(count);
});
