import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { openSystem } from "../system.ts";
import { LEASE_READERS, readLeases } from "./index.ts";
import type { Lease } from "./lease.ts";

/** Which version's format each of them is stands in README.md there. */
const FIXTURES = join(import.meta.dir, "../../../test/guest/fixtures");

test("the DHCP server is found in the leases of every client", () => {
  const eth0 = { interface: "eth0", address: "10.1.1.57", server: "10.1.1.1" };
  const whole = { ...eth0, routers: ["10.1.1.1"] };
  check("dhclient", [{ client: "dhclient", ...whole }]);
  check("networkd", [{ client: "networkd", ...whole }]);
  check("dhcpcd", [{ client: "dhcpcd", ...whole }]);
  check("udhcpc", [{ client: "udhcpc", ...whole }]);
  check("udhcpc-initramfs", [{ client: "udhcpc", ...whole }]);
  check("network-manager-old", [{ client: "NetworkManager", ...whole }]);
});

test("of NetworkManager's two files the one in /run names the server", () => {
  check("network-manager", [
    { client: "NetworkManager", interface: "eth0", server: "10.1.1.1", routers: ["10.1.1.1"] },
    { client: "NetworkManager", interface: "eth0", address: "10.1.1.57", server: undefined },
  ]);
});

test("what netplan has set up is said to be netplan's, and networkd's", () => {
  check("netplan", [
    { client: "networkd", interface: "enp1s0", server: "10.1.1.1" },
    { client: "netplan", interface: "enp1s0", server: "10.1.1.1" },
  ]);
});

test("of several leases of one interface the last counts, and an unfinished one does not", () => {
  const lease = (server: string, name = "eth0"): string =>
    `lease {\n  interface "${name}";\n  option dhcp-server-identifier ${server};\n}\n`;
  const text = `${lease("10.1.1.1")}${lease("10.1.1.9", "eth1")}${lease("10.1.1.2")}`;
  const unfinished = 'lease {\n  interface "eth0";\n  option dhcp-server-identifier 10.6.6.6;\n';
  using root = files({ "/var/lib/dhcp/dhclient.leases": text + unfinished });
  expect(root.leases().map((one) => [one.interface, one.server])).toEqual([
    ["eth1", "10.1.1.9"],
    ["eth0", "10.1.1.2"],
  ]);
});

test("a DHCP server's strings make no lease", () => {
  const evil = String.raw`option host-name "x\"}lease { option dhcp-server-identifier 10.6.6.6;";`;
  const text = `lease {\n  interface "eth0";\n  ${evil}\n  fixed-address 10.1.1.57;\n}\n`;
  using root = files({ "/var/lib/dhcp/dhclient.eth0.leases": text });
  expect(root.leases()).toMatchObject([{ address: "10.1.1.57", server: undefined }]);
});

test("an address that is none is none", () => {
  const path = "/run/systemd/netif/leases/2";
  for (const server of ["10.1.1.1; rm -rf /", "010.1.1.1", "::1", "", "evil.example"]) {
    using root = files({ [path]: `ADDRESS=10.1.1.57\nSERVER_ADDRESS=${server}\n` });
    expect(root.leases()).toMatchObject([{ address: "10.1.1.57", server: undefined }]);
  }
});

test("of leases the one that was written last comes first", () => {
  using root = files({
    "/run/udhcpc/eth0.env": "ip='10.2.2.2'\nserverid='10.2.2.1'\n",
    "/run/systemd/netif/leases/2": "ADDRESS=10.1.1.57\nSERVER_ADDRESS=10.1.1.1\n",
  });
  root.touch("/run/systemd/netif/leases/2", 1_000_000);
  root.touch("/run/udhcpc/eth0.env", 2_000_000);
  expect(root.leases().map(({ server }) => server)).toEqual(["10.2.2.1", "10.1.1.1"]);
});

// Goal: no reader is brought down, or made to believe what is no address, by any file.
test("files of any bytes throw nothing, and name addresses only", () => {
  const paths = [
    "/var/lib/dhcp/dhclient.leases",
    "/run/systemd/netif/leases/3",
    "/run/NetworkManager/devices/3",
    "/var/lib/dhcpcd/eth0.lease",
    "/run/udhcpc/eth0.json",
  ];
  const words = fc.constantFrom("lease {\n", "}\n", "[dhcp4]\n", "{", '"', "=", "SERVER_ADDRESS=");
  const text = fc.array(fc.oneof(words, fc.string(), fc.ipV4()), { maxLength: 20 });
  const bytes = fc.oneof(
    text.map((parts) => Buffer.from(parts.join(""))),
    fc.uint8Array({ maxLength: 400 }).map((tail) => Buffer.concat([DHCP_HEAD, tail])),
  );
  fc.assert(
    fc.property(bytes, (content) => {
      using root = files(Object.fromEntries(paths.map((path) => [path, content])));
      for (const { server, address } of root.leases()) {
        for (const one of [server, address]) if (one !== undefined) expect(one).toMatch(IPV4);
      }
    }),
  );
});

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
/** A DHCP message up to its options. */
const DHCP_HEAD = Buffer.concat([Buffer.alloc(236), Buffer.from("63825363", "hex")]);

function check(fixture: string, expected: readonly Partial<Lease>[]): void {
  const system = openSystem(join(FIXTURES, fixture));
  const found = LEASE_READERS.flatMap((reader) => reader.read(system));
  expect(found).toHaveLength(expected.length);
  expect(found).toMatchObject(expected as Lease[]);
}

/** A root folder of these files. */
function files(contents: Readonly<Record<string, string | Uint8Array>>) {
  const root = mkdtempSync(join(tmpdir(), "fd-leases-"));
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return {
    leases: () => readLeases(openSystem(root)),
    touch: (path: string, seconds: number) => utimesSync(join(root, path), seconds, seconds),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}
