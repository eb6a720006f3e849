import { expect, test } from "bun:test";
import { join } from "node:path";
import { candidates, ordered } from "./candidates.ts";
import { endpointAt, parseEndpoint } from "./endpoint.ts";
import { defaultGateways, ipv6Interfaces } from "./routes.ts";
import { openSystem, type System } from "./system.ts";

const FIXTURES = join(import.meta.dir, "../../test/guest/fixtures");

test("default gateways are found, IPv4 first, the preferred one first", () => {
  expect(defaultGateways(system("routes"))).toEqual([
    { address: "10.1.1.1", device: "eth0", metric: 100 },
    { address: "10.2.255.254", device: "eth1", metric: 200 },
    { address: "fe80::1%eth0", device: "eth0", metric: 1024 },
    { address: "fd00:1::1", device: "eth0", metric: 2048 },
  ]);
});

test("interfaces with IPv6 are those with a link-local address", () => {
  expect(ipv6Interfaces(system("routes"))).toEqual(["eth0", "eth1", "p0", "p1"]);
});

test("every way to an address is a candidate, in order of preference", async () => {
  const found = await candidates(
    { system: { ...system("routes"), resolve: async () => ["10.1.1.1", "fd00:1::1"] } },
    new AbortController().signal,
  );
  expect(found.map(({ url, via }) => `${via} ${url}`)).toEqual([
    "link-local http://169.254.169.254",
    "data-server http://10.1.1.1",
    "data-server http://[fd00:1::1]",
    "gateway http://10.2.255.254",
    "gateway http://[fe80::1%25eth0]",
    "ipv6 http://[fd00:ec2::254]",
    "ipv6 http://[fe80::a9fe:a9fe%25eth0]",
    "ipv6 http://[fe80::a9fe:a9fe%25eth1]",
    "ipv6 http://[fe80::a9fe:a9fe%25p0]",
    "ipv6 http://[fe80::a9fe:a9fe%25p1]",
  ]);
});

test("a lease's server comes with the file that names it, and before the gateway", async () => {
  const found = await candidates({ system: system("networkd") }, new AbortController().signal);
  expect(found).toEqual([
    endpointAt("169.254.169.254", { via: "link-local" }),
    endpointAt("10.1.1.1", { via: "dhcp", source: "/run/systemd/netif/leases/2" }),
  ]);
});

test("a resolver that is silent holds nobody up", async () => {
  const silent: System = { ...system("networkd"), resolve: () => new Promise(() => {}) };
  const found = await candidates({ system: silent }, AbortSignal.timeout(20));
  expect(found.map(({ via }) => via)).toEqual(["link-local", "dhcp"]);
});

test("however many interfaces there are, the candidates have an end", () => {
  const many = Array.from({ length: 500 }, (_, i) =>
    endpointAt(`10.0.${i >> 8}.${i & 255}`, { via: "gateway" }),
  );
  expect(ordered(many)).toHaveLength(24);
});

test("an endpoint is http://HOST[:PORT], IPv6 in brackets", () => {
  const check = (text: string, host: string, port: number, url = text): void =>
    expect(parseEndpoint(text)).toEqual({ url, host, port, via: "option" });
  check("http://10.1.1.1", "10.1.1.1", 80);
  check("http://10.1.1.1/", "10.1.1.1", 80, "http://10.1.1.1");
  check("http://data-server:8775", "data-server", 8775);
  check("http://[fd00:ec2::254]", "fd00:ec2::254", 80);
  check("http://[fe80::1%25eth0]:8080", "fe80::1%eth0", 8080);
  check("http://[fe80::1%eth0]", "fe80::1%eth0", 80, "http://[fe80::1%25eth0]");
});

test("what is no endpoint is refused", () => {
  const wrong = [
    ...["10.1.1.1", "https://10.1.1.1", "http://", "http://u:p@10.1.1.1", "http://10.1.1.1/latest"],
    ...["http://10.1.1.1:0", "http://10.1.1.1:65536", "http://[10.1.1.1]", "http://a b", "file:/x"],
    ...["http://10.1.1.1\r\nX: y", "http://fd00::1", "http://[fd00::1", "http://[::1%a;b]"],
  ];
  for (const text of wrong) expect(() => parseEndpoint(text), text).toThrow("an endpoint is http");
});

function system(fixture: string): System {
  return { ...openSystem(join(FIXTURES, fixture)), resolve: async () => [] };
}
