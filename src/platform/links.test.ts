/** On which device a peer is, and where a lease counts, when guests are on several. */

import { expect, test } from "bun:test";
import { parseIp } from "../model/address.ts";
import { Links } from "./links.ts";

const INTERFACES = {
  eth0: ["10.1.1.1/24", "fd00:a::1/64", "fe80::1/64"],
  eth1: ["10.1.2.1/24", "fd00:b::1/64", "fe80::1/64"],
  eth2: ["10.1.2.2/24", "fd00:c::1/64", "fd00:b:0:1::1/48"],
};

test("a peer is on the one device in whose range its address lies", () => {
  const check = links(["eth0", "eth1"]);
  check("fd00:a::57", undefined, "eth0");
  check("fd00:b::57", undefined, "eth1");
  // What the listener's zone is says nothing of an address that has none.
  check("fd00:a::57", "eth1", "eth0");
  check("fd00:c::57", undefined, undefined);
  check("10.1.3.5", undefined, undefined);
  links(["eth1", "eth2"])("fd00:b::57", undefined, undefined);
});

test("a link-local peer is on the device of its zone", () => {
  const check = links(["eth0", "eth1"]);
  check("fe80::57", "eth1", "eth1");
  check("fe80::57", "eth0", "eth0");
  check("fe80::57", "eth2", undefined);
  check("fe80::57", undefined, undefined);
});

test("a lease counts where its network is", () => {
  const { isLeasedOn } = open(["eth0", "eth1"]);
  expect(isLeasedOn("eth0", "10.1.1.5")).toBe(true);
  expect(isLeasedOn("eth1", "10.1.1.5")).toBe(false);
  expect(isLeasedOn("eth2", "10.1.2.5")).toBe(false);
});

test("with one device there is nothing to decide", () => {
  const check = links(["eth0"]);
  for (const peer of ["fd00:b::57", "fe80::57", "2001:db8::1"]) check(peer, undefined, "eth0");
  expect(open(["eth0"]).isLeasedOn("eth0", "192.0.2.5")).toBe(true);
});

function open(devices: readonly string[]) {
  const interfaces = Object.fromEntries(
    Object.entries(INTERFACES).map(([name, cidrs]) => [name, cidrs.map((cidr) => ({ cidr }))]),
  ) as unknown as ReturnType<typeof import("node:os").networkInterfaces>;
  const links = new Links(devices, () => interfaces);
  return {
    links,
    isLeasedOn: (device: string, address: string) => links.isLeasedOn(device, parseIp(address)),
  };
}

function links(devices: readonly string[]) {
  const { links } = open(devices);
  return (peer: string, zone: string | undefined, device: string | undefined): void => {
    expect([peer, links.deviceOf(parseIp(peer), zone)]).toEqual([peer, device]);
  };
}
