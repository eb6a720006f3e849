/** Which devices lie in a range. */

import { expect, test } from "bun:test";
import type { NetworkInterfaceInfo } from "node:os";
import { parseCidr } from "../model/address.ts";
import { devicesIn } from "./devices.ts";

test("a device is of a network when it has an address in one of its ranges", () => {
  const interfaces = {
    lo: at("127.0.0.1", true),
    eth0: [...at("169.254.7.77"), ...at("fe80::1")],
    eth3: at("10.1.2.1"),
    eth2: [...at("10.1.1.1"), ...at("fd00:5a::1")],
  };
  const check = (cidrs: readonly string[], devices: readonly string[]): void =>
    expect(devicesIn(cidrs.map(parseCidr), interfaces)).toEqual([...devices]);
  check(["10.1.1.0/24"], ["eth2"]);
  check(["fd00:5a::/64"], ["eth2"]);
  check(["10.1.0.0/16"], ["eth2", "eth3"]);
  check(["10.9.0.0/16"], []);
  check(["127.0.0.0/8"], []);
});

function at(address: string, internal = false): NetworkInterfaceInfo[] {
  const family = address.includes(":") ? "IPv6" : "IPv4";
  const info = { address, internal, family, netmask: "", mac: "", cidr: null, scopeid: 0 };
  return [info as NetworkInterfaceInfo];
}
