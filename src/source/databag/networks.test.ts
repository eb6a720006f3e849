import { expect, test } from "bun:test";
import { parseIp } from "../../model/address.ts";
import { Bag } from "./bag.ts";
import { Networks, readNetworkEntry } from "./networks.ts";
import { fixture, type Json, take } from "./testing.ts";

test("the networks of four topologies, and the router's own addresses in them", async () => {
  const told = async (topology: string, chosen?: string): Promise<unknown> => {
    const lab = new Lab(chosen);
    await lab.update({
      ips: fixture(topology, "ips.json"),
      cmdline: fixture(topology, "cmdline.json"),
      ...(topology === "vpc" ? { guestNetworks: fixture("vpc", "guestnetwork.json") } : {}),
    });
    const { networks } = lab;
    const own = networks.endpoints().map(({ address, network }) => `${address} ${network}`);
    const list = networks.list().map(({ id, cidrs, dnsDomain }) => [id, ...cidrs, dnsDomain]);
    return [list, own];
  };
  expect(await told("isolated")).toEqual([
    [["eth0", "10.1.1.0/24", "cs2cloud.internal"]],
    ["10.1.1.1 eth0"],
  ]);
  expect(await told("isolated", "lab")).toEqual([
    [["lab", "10.1.1.0/24", "cs2cloud.internal"]],
    ["10.1.1.1 lab"],
  ]);
  expect(await told("redundant")).toEqual([
    [["eth0", "10.9.0.0/24", "cs3cloud.internal"]],
    ["10.9.0.48 eth0", "10.9.0.1 eth0"],
  ]);
  expect(await told("shared")).toEqual([
    [["eth0", "198.51.100.0/24", "cs1cloud.internal"]],
    ["198.51.100.9 eth0"],
  ]);
  expect(await told("vpc", "lab")).toEqual([
    [
      ["218", "10.20.1.0/24", "vpc7.internal"],
      ["219", "10.20.2.0/24", "vpc7.internal"],
    ],
    ["10.20.1.1 218", "10.20.2.1 219"],
  ]);
});

test("an address belongs to the network whose range holds it", async () => {
  const lab = new Lab();
  await lab.update({
    ips: fixture("vpc", "ips.json"),
    guestNetworks: fixture("vpc", "guestnetwork.json"),
  });
  const of = (address: string): unknown => lab.networks.of(parseIp(address), "former");
  expect(of("10.20.1.0")).toBe("218");
  expect(of("10.20.1.255")).toBe("218");
  expect(of("10.20.2.7")).toBe("219");
  expect(of("10.20.3.0")).toBeUndefined();
  expect(of("169.254.98.12")).toBeUndefined();
  expect(of("203.0.113.30")).toBeUndefined();
  expect(of("fd00::1")).toBeUndefined();
});

test("without ips.json there is one network, with no range, that holds every address", async () => {
  for (const [chosen, id] of [
    [undefined, "guest"],
    ["lab", "lab"],
  ] as const) {
    const { networks } = new Lab(chosen);
    expect(networks.list()).toEqual([{ id, cidrs: [] }]);
    expect(networks.of(parseIp("10.1.1.57"), undefined)).toBe(id);
    expect(networks.of(parseIp("10.1.1.57"), "218")).toBe("218");
    expect(networks.endpoints()).toEqual([]);
  }
});

test("until a file says something, the networks are those of the earlier run", () => {
  const { networks } = new Lab("lab");
  networks.restore("218");
  networks.restore("219");
  expect(networks.list().map(({ id }) => id)).toEqual(["218", "219"]);
  expect(networks.of(parseIp("10.1.1.57"), "219")).toBe("219");
});

test("alias ranges of one device are one network; what is taken back is gone", async () => {
  const lab = new Lab();
  const guest = (public_ip: string, add: boolean): Json => ({
    ...{ add, nw_type: "guest", public_ip, cidr: `${public_ip}/24`, device: "eth0" },
  });
  const ips = { id: "ips", eth0: [guest("10.1.1.1", true), guest("10.1.2.1", true)] };
  expect(await lab.update({ ips })).toBe(true);
  expect(lab.networks.list()).toEqual([{ id: "eth0", cidrs: ["10.1.1.0/24", "10.1.2.0/24"] }]);
  expect(await lab.update({ ips: { ...ips, eth1: [] } })).toBe(false);
  const less = { ...ips, eth0: [guest("10.1.1.1", true), guest("10.1.2.1", false)] };
  expect(await lab.update({ ips: less })).toBe(true);
  expect(lab.networks.list()).toEqual([{ id: "eth0", cidrs: ["10.1.1.0/24"] }]);
  expect(lab.networks.endpoints().map(({ address }) => String(address))).toEqual(["10.1.1.1"]);
});

test("a device that vanishes with its databag stays until it is seen again", async () => {
  const lab = new Lab();
  const ips = fixture("vpc", "ips.json");
  const guestNetworks = fixture("vpc", "guestnetwork.json");
  await lab.update({ ips, guestNetworks });
  const before = lab.networks.list();
  expect(await lab.update({ ips: { id: "ips" }, guestNetworks: { id: "x" } })).toBe(false);
  expect(lab.networks.list()).toEqual(before);
  expect(lab.networks.lost).toEqual({ ips: 2, guestNetworks: 2 });
  await lab.update({ ips, guestNetworks });
  expect(lab.networks.lost).toEqual({ ips: 0, guestNetworks: 0 });
  await lab.update({ guestNetworks: { ...guestNetworks, eth3: [] }, ips: { ...ips, eth3: [] } });
  expect(lab.networks.list().map(({ id }) => id)).toEqual(["218"]);
});

test("what is not understood is left out, and the rest is as it would be without it", async () => {
  const lab = new Lab();
  const eth0 = fixture("isolated", "ips.json").eth0 as unknown[];
  await lab.update({
    ips: {
      ...{ id: 7, "../x": [{}], eth1: "x", eth2: [null, 1, { nw_type: "guest" }] },
      eth3: [{ nw_type: "guest", public_ip: "10.7.7.7", cidr: "x" }],
      eth0: [...eth0, { nw_type: "guest", public_ip: "no", cidr: "10.0.0.0/8" }],
    },
    guestNetworks: { eth0: [{ network_id: "../x", domain_name: "<b>" }, null] },
    cmdline: { config: [] },
  });
  expect(lab.networks.list()).toEqual([{ id: "eth0", cidrs: ["10.1.1.0/24"] }]);
});

test("an entry that is no list keeps what the device had", async () => {
  const lab = new Lab();
  const ips = fixture("isolated", "ips.json");
  await lab.update({ ips });
  expect(await lab.update({ ips: { ...ips, eth0: "broken" } })).toBe(false);
  expect(lab.networks.list().map(({ id }) => id)).toEqual(["eth0"]);
});

class Lab {
  readonly networks: Networks;
  readonly #bags = {
    ips: new Bag(readNetworkEntry),
    guestNetworks: new Bag(readNetworkEntry),
    cmdline: new Bag(readNetworkEntry),
  };

  constructor(chosen?: string) {
    this.networks = new Networks(chosen);
  }

  async update(files: { ips?: Json; guestNetworks?: Json; cmdline?: Json }): Promise<boolean> {
    const { ips, guestNetworks, cmdline } = files;
    return this.networks.update({
      ips: ips && (await take(this.#bags.ips, ips)),
      guestNetworks: guestNetworks && (await take(this.#bags.guestNetworks, guestNetworks)),
      cmdline: cmdline && (await take(this.#bags.cmdline, cmdline)),
    });
  }
}
