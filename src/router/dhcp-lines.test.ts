/** The DHCP options that lead guests here. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIp } from "../model/address.ts";
import { type DhcpRange, dhcpLines, dhcpWarnings, rangesOf } from "./dhcp-lines.ts";

const own = (device: string, address: string) => ({ device, address: parseIp(address) });
const OWN = [own("eth0", "198.51.100.9"), own("eth0", "192.0.2.9"), own("eth1", "169.254.7.77")];

/** As CloudStack's router of a shared network with an alias subnet has it. */
const CONFIG = `bind-interfaces
dhcp-range=set:interface-eth0-0,198.51.100.9,static
dhcp-option=tag:interface-eth0-0,15,cs1cloud.internal
dhcp-option=tag:interface-eth0-0,6,198.51.100.9,9.9.9.9
dhcp-option=tag:interface-eth0-0,3,198.51.100.1
dhcp-option=eth0,26,1500
dhcp-range=set:interface-eth0-1,192.0.2.9,static
dhcp-option=tag:interface-eth0-1,option:router,192.0.2.1
dhcp-range=set:interface-eth0-2,198.51.100.9,static
dhcp-range=set:interface-eth9-0,10.9.9.9,static
# dhcp-range=set:interface-eth0-8,198.51.100.9,static
dhcp-range=set:a"b\\c,198.51.100.9,static
`;

test("a host route to us, and the default route, for both numbers of the option", () => {
  const check = (range: Record<string, string>, routes: string | undefined): void => {
    const lines = dhcpLines(range as unknown as DhcpRange);
    const tag = range.tag === undefined ? "" : `tag:${range.tag},`;
    const wanted = ["121", "249"].map((code) => `dhcp-option=${tag}${code},${routes}`);
    expect(lines).toEqual(routes === undefined ? [] : wanted);
  };
  const host = "169.254.169.254/32,198.51.100.9";
  check({ router: "198.51.100.9", gateway: "198.51.100.1" }, `${host},0.0.0.0/0,198.51.100.1`);
  check(
    { tag: "interface-eth0-0", router: "198.51.100.9", gateway: "198.51.100.1" },
    `${host},0.0.0.0/0,198.51.100.1`,
  );
  check({ router: "198.51.100.9" }, host);
  // Where the router is the gateway, everything leads here already.
  check({ router: "10.1.1.1", gateway: "10.1.1.1" }, undefined);
});

test("CloudStack's own dnsmasq configuration says which ranges there are", () => {
  expect(rangesOf(CONFIG, OWN) as unknown[]).toEqual([
    { tag: "interface-eth0-0", router: "198.51.100.9", gateway: "198.51.100.1" },
    { tag: "interface-eth0-1", router: "192.0.2.9", gateway: "192.0.2.1" },
    { tag: "interface-eth0-2", router: "198.51.100.9" },
  ]);
});

test("whatever the file says, a line has no more words than ours", () => {
  const tag = fc.oneof(fc.string(), fc.constantFrom("interface-eth0-0", "x,3,10.0.0.1", "a\nb"));
  fc.assert(
    fc.property(tag, (tag) => {
      const ranges = rangesOf(`dhcp-range=set:interface-eth0-${tag},198.51.100.9,static`, OWN);
      for (const line of ranges.flatMap(dhcpLines)) {
        expect(line).toMatch(/^dhcp-option=tag:[\w.-]+,(121|249),[\d./,]+$/);
      }
    }),
  );
});

test("the control link's range is warned of, and an address that is not there", () => {
  const ranges = [{ router: parseIp("198.51.100.9") }];
  const metadata = "169.254.169.254";
  const check = (addresses: readonly (typeof OWN)[number][], warnings: readonly RegExp[]): void => {
    const said = dhcpWarnings(ranges, addresses);
    expect(said).toHaveLength(warnings.length);
    said.forEach((text, index) => {
      expect(text).toMatch(warnings[index] ?? /^$/);
    });
  };
  const control = /^eth1 has 169.254.7.77: the control link is 169.254.0.0\/16/;
  const add = /ip address add 169.254.169.254\/32 dev eth0$/;
  check(OWN, [control, add]);
  check([...OWN, own("eth0", metadata)], [control]);
  check([own("eth0", "198.51.100.9"), own("eth0", metadata)], []);
  check([own("eth0", "198.51.100.9")], [add]);
  check([...OWN, own("eth1", metadata)], [control, /is on eth1, the control link/]);
});
