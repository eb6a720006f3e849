/**
 * Who has an address, asked of a real kernel: guests of both IP versions, and guests that lie.
 *
 * The programs run in the lab's router namespace; what is tested runs here.
 */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Ip, type Mac, parseIp } from "../../src/model/address.ts";
import { startLines } from "../../src/platform/lines.ts";
import { type Neighbours, openNeighbours } from "../../src/platform/neighbours.ts";
import { type Lab, labMissing, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { ok, until } from "./program.ts";

const lacking = labMissing(["ping", "python3"]);
const SPOOF = join(import.meta.dirname, "spoof.py");
const OWNER = "02:00:00:00:00:01" as Mac;
const THIEF = "02:00:00:00:00:02" as Mac;
const ADDRESS = parseIp("10.1.1.11");
const GUESTS = [
  { mac: OWNER, address: ADDRESS },
  { mac: THIEF, address: "10.1.1.12" },
];
/** The kernel's news take a few milliseconds on an idle machine. */
const NEWS_MS_MAX = 5_000;

const TEST_MS_MAX = 30_000;

const kernel = (name: string, body: (scene: Scene) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(name, () => inLab(body), TEST_MS_MAX);

async function inLab(body: (scene: Scene) => Promise<void>): Promise<void> {
  await using lab = await openLab({ guests: GUESTS });
  const [owner, thief] = lab.guests;
  if (owner === undefined || thief === undefined) throw new Error("the lab has no guests");
  const heard: string[] = [];
  await using neighbours = open(lab, (address) => heard.push(address));
  await neighbours.ready;
  await body({ lab, owner, thief, neighbours, heard });
}

kernel("a guest is known before the router could have read its request", async (scene) => {
  const { owner, neighbours, heard } = scene;
  expect(neighbours.find(ADDRESS)).toBeUndefined();
  await ping(owner, ROUTER_ADDRESS);
  expect(await neighbours.lookUp(ADDRESS)).toBe(OWNER);
  expect(await neighbours.lookUp(ADDRESS, "eth0")).toBe(OWNER);
  expect(await neighbours.lookUp(ADDRESS, "lo")).toBeUndefined();
  await knows(neighbours, ADDRESS, OWNER);
  expect(heard).toContain(ADDRESS);
});

kernel("IPv6: global, unique local, privacy and link-local addresses of one NIC", async (scene) => {
  const { lab, owner, neighbours } = scene;
  await ip(lab.router, "-6 address add fd00:5a::1/64 dev eth0 nodad");
  await ip(lab.router, "-6 address add 2001:db8:5a::1/64 dev eth0 nodad");
  // Temporary addresses, as a guest's operating system makes them of what the router advertises.
  await owner.run(["sysctl", "-w", "net.ipv6.conf.eth0.use_tempaddr=2"]);
  await ip(owner, "-6 address add fd00:5a::11/64 dev eth0 nodad");
  await ip(owner, "-6 address add 2001:db8:5a::11/64 dev eth0 nodad mngtmpaddr");
  let addresses: string[] = [];
  await until("a privacy address", NEWS_MS_MAX, async () => {
    addresses = await addressesOf(owner);
    const isPrivate = addresses.some((address) => /^2001:db8:5a:0:/.test(address));
    return isPrivate && addresses.length >= 4;
  });
  for (const address of addresses) {
    const target = address.startsWith("fe80:")
      ? `${await linkLocalOf(lab.router)}%eth0`
      : address.startsWith("fd00:")
        ? "fd00:5a::1"
        : "2001:db8:5a::1";
    await ping(owner, target, address.startsWith("fe80:") ? undefined : address);
    await knows(neighbours, parseIp(address), OWNER);
    expect(await neighbours.lookUp(parseIp(address), "eth0")).toBe(OWNER);
  }
});

kernel("who takes an address by gratuitous ARP is seen to have it", async (scene) => {
  const { owner, thief, neighbours } = scene;
  await ping(owner, ROUTER_ADDRESS);
  await knows(neighbours, ADDRESS, OWNER);
  await claims(thief, ["arp", ADDRESS, THIEF], () => neighbours.find(ADDRESS) === THIEF);
  expect(await neighbours.lookUp(ADDRESS)).toBe(THIEF);
});

kernel("who takes an address by neighbour advertisement is seen to have it", async (scene) => {
  const { lab, owner, thief, neighbours } = scene;
  const address = parseIp("fd00:5a::11");
  await ip(lab.router, "-6 address add fd00:5a::1/64 dev eth0 nodad");
  await ip(owner, `-6 address add ${address}/64 dev eth0 nodad`);
  await ping(owner, "fd00:5a::1", address);
  await knows(neighbours, address, OWNER);
  await claims(thief, ["na", address, THIEF], () => neighbours.find(address) === THIEF);
  expect(await neighbours.lookUp(address)).toBe(THIEF);
});

kernel("a guest that is gone is no evidence, nor is one that never answered", async (scene) => {
  const { lab, owner, neighbours } = scene;
  await ping(owner, ROUTER_ADDRESS);
  await knows(neighbours, ADDRESS, OWNER);
  await ip(lab.router, "neigh replace 10.1.1.11 dev eth0 nud failed");
  await knows(neighbours, ADDRESS, undefined);
  const nobody = parseIp("10.1.1.99");
  await lab.router.run(["ping", "-c1", "-W1", nobody]);
  expect(await neighbours.lookUp(nobody)).toBeUndefined();
  await ip(lab.router, `neigh replace ${nobody} lladdr ${THIEF} dev eth0 nud permanent`);
  await knows(neighbours, nobody, THIEF);
});

kernel("a link that goes down takes what was known with it", async (scene) => {
  const { lab, owner, neighbours } = scene;
  await ping(owner, ROUTER_ADDRESS);
  await knows(neighbours, ADDRESS, OWNER);
  await ip(lab.router, "link set eth0 down");
  await knows(neighbours, ADDRESS, undefined);
});

kernel("ten thousand addresses of one guest leave the others known", async (scene) => {
  const { lab, owner, neighbours } = scene;
  await ping(owner, ROUTER_ADDRESS);
  await knows(neighbours, ADDRESS, OWNER);
  const rows = Array.from({ length: 10_000 }, (_, i) => {
    const address = `fd00:5a::1:${i.toString(16)}`;
    return `neigh replace ${address} lladdr ${THIEF} dev eth0 nud permanent\n`;
  });
  await ok(lab.router.command(["ip", "-batch", "-"]), { input: rows.join("") });
  const last = parseIp(`fd00:5a::1:${(9_999).toString(16)}`);
  await knows(neighbours, last, THIEF);
  await until("the table to settle", NEWS_MS_MAX, () => neighbours.size <= 80);
  expect(neighbours.find(ADDRESS)).toBe(OWNER);
  expect(await neighbours.lookUp(parseIp("fd00:5a::1:1"))).toBe(THIEF);
});

// The address text of the kernel is taken as it stands where it has no dots.
kernel("the kernel spells addresses as we do", async ({ lab }) => {
  const texts = Array.from({ length: 500 }, (_, i) => {
    const group = (n: number): string =>
      (i >> n) & 1 ? ((i * 2654435761) >>> 16).toString(16) : "0";
    return `fd00:${[6, 5, 4, 3, 2, 1].map(group).join(":")}:${(i % 7).toString(16)}`;
  });
  const rows = texts.map(
    (text) => `neigh replace ${text} lladdr ${OWNER} dev eth0 nud permanent\n`,
  );
  await ok(lab.router.command(["ip", "-batch", "-"]), { input: rows.join("") });
  const shown = await ok(lab.router.command(["ip", "-6", "neigh", "show"]));
  const printed = shown
    .split("\n")
    .flatMap((line) => line.split(" ", 1))
    .filter(Boolean);
  expect(new Set(printed.filter((text) => text.startsWith("fd00:")))).toEqual(
    new Set(texts.map((text) => parseIp(text))),
  );
});

interface Scene {
  readonly lab: Lab;
  readonly owner: Place;
  readonly thief: Place;
  readonly neighbours: Neighbours;
  readonly heard: readonly string[];
}

function open(lab: Lab, onChange: (address: Ip) => void): Neighbours {
  return openNeighbours({
    start: (argv, options) => startLines(lab.router.command(argv), options),
    devices: () => ["eth0"],
    onChange,
  });
}

/** Waits for the monitor: nothing is looked up. */
function knows(neighbours: Neighbours, address: Ip, mac: Mac | undefined): Promise<void> {
  return until(`${address} to be at ${mac}`, NEWS_MS_MAX, () => neighbours.find(address) === mac);
}

async function ping(place: Place, target: string, from?: string): Promise<void> {
  const source = from === undefined ? [] : ["-I", from];
  await ok(place.command(["ping", "-c1", "-W2", ...source, target]));
}

async function ip(place: Place, words: string): Promise<string> {
  return ok(place.command(["ip", ...words.split(" ")]));
}

/** Says so again and again: the kernel believes a second claim only after a while. */
function claims(thief: Place, words: readonly string[], isDone: () => boolean): Promise<void> {
  return until("the kernel to believe it", NEWS_MS_MAX, async () => {
    await ok(thief.command(["python3", SPOOF, ...words]));
    return isDone();
  });
}

async function addressesOf(place: Place): Promise<string[]> {
  const shown = await ip(place, "-6 -o address show dev eth0 -tentative");
  return [...shown.matchAll(/inet6 ([^/ ]+)\//g)].map(([, address = ""]) => address);
}

async function linkLocalOf(place: Place): Promise<string> {
  let found: string | undefined;
  await until("a link-local address", NEWS_MS_MAX, async () => {
    found = (await addressesOf(place)).find((address) => address.startsWith("fe80:"));
    return found !== undefined;
  });
  return found ?? "";
}
