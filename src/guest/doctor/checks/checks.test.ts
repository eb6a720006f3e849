/** Each check on facts made by hand: what it finds, and what it must not conclude from them. */

import { expect, test } from "bun:test";
import { diagnose } from "../../../observe/doctor/diagnose.ts";
import type { Spoken } from "../../../platform/speak.ts";
import type { CloudInit } from "../cloud-init.ts";
import type { Facts, Target } from "../facts.ts";
import { facts, reply, service, target } from "../testing.ts";
import { CHECKS } from "./index.ts";

const spoken = (kind: Spoken["kind"], code: string): Partial<Target> => ({
  connect: { kind, code, answered: false, ms: 5 },
  listing: undefined,
  serves: false,
  instanceId: undefined,
});
const lost = spoken("timeout", "ETIMEDOUT");
const answering = (status: number): Partial<Target> => ({
  listing: reply(status),
  serves: false,
  instanceId: undefined,
});
const both = (changed: Partial<Target>): readonly Target[] => [
  target("169.254.169.254", changed),
  target("10.1.1.1", changed),
];
const nobody = (changed: Partial<Target>): Partial<Facts> => ({
  targets: both(changed),
  service: undefined,
});
const noRoute = (words: string): Partial<Target> => ({ ...lost, route: { kind: "none", words } });
const lease = facts().leases[0] as Facts["leases"][number];
const cloud: CloudInit = {
  disabledBy: undefined,
  source: undefined,
  errors: [],
  done: true,
  list: undefined,
};
const BASE64 = Buffer.from("#cloud-config\n").toString("base64");

/** What was found, `CODE` or `CODE severity`; then what follows, behind an arrow. */
type Case = readonly [name: string, changed: Partial<Facts>, expected: string];

// biome-ignore format: a table reads best with one line for each case
const CASES: readonly Case[] = [
  ["a healthy instance", {}, ""],
  ["nothing could be learned of the system", { addresses: undefined, routes: undefined, neighbours: undefined, ruleset: undefined, isRoot: false }, ""],
  ["refused", nobody(spoken("refused", "ECONNREFUSED")), "CONNECT_REFUSED error likely"],
  ["refused, and the firewall could not be read", { ...nobody(spoken("refused", "ECONNREFUSED")), ruleset: undefined }, "CONNECT_REFUSED error possible"],
  ["a link-local address that nobody has, as on CloudStack's own router", { targets: [target("169.254.169.254", lost), target("10.1.1.1")], service: service({ target: target("10.1.1.1") }) }, "CONNECT_TIMEOUT info possible"],
  ["silent, and nothing says why", nobody(lost), "CONNECT_TIMEOUT error possible"],
  ["no route to anybody", { ...nobody(noRoute("Network is unreachable")), gateways: [] }, "ROUTE_MISSING error certain -> CONNECT_TIMEOUT"],
  ["no route, but a default one", nobody(noRoute("Network is unreachable")), "ROUTE_MISSING error possible -> CONNECT_TIMEOUT"],
  ["a prohibiting route", { ...nobody(noRoute("Permission denied")), routes: [{ type: "prohibit", to: "default", device: "", gateway: undefined, source: undefined, table: "main" }] }, "ROUTE_REFUSES error certain -> CONNECT_TIMEOUT"],
  ["a prohibiting route to one of two silent addresses", { ...nobody(lost), targets: [target("169.254.169.254", noRoute("Permission denied")), target("10.1.1.1", lost)], routes: [{ type: "prohibit", to: "169.254.0.0/16", device: "", gateway: undefined, source: undefined, table: "main" }] }, "ROUTE_REFUSES error certain, CONNECT_TIMEOUT error possible"],
  ["a gateway that nobody is, where the router serves", { gateways: [{ address: "10.1.1.9", device: "eth0", metric: 0 }], targets: [target("169.254.169.254", { ...lost, route: { kind: "found", device: "eth0", gateway: "10.1.1.9", source: "10.1.1.57", local: false } }), target("10.1.1.1")], service: service({ target: target("10.1.1.1") }), neighbours: [{ address: "10.1.1.9", device: "eth0", state: "FAILED", mac: undefined }] }, "GATEWAY_WRONG warning likely -> CONNECT_TIMEOUT"],
  ["a silent next hop", { ...nobody(lost), neighbours: [{ address: "10.1.1.1", device: "eth0", state: "FAILED", mac: undefined }] }, "NEIGHBOUR_SILENT error likely -> CONNECT_TIMEOUT"],
  ["a failed neighbour of a target that answers", { neighbours: [{ address: "10.1.1.1", device: "eth0", state: "FAILED", mac: undefined }] }, ""],
  ["a fixed neighbour of a target that answers", { neighbours: [{ address: "10.1.1.1", device: "eth0", state: "PERMANENT", mac: "02:00:00:00:00:01" }] }, ""],
  ["500", nobody(answering(500)), "HTTP_FAILS error possible"],
  ["404 at one address, where the other one serves", { targets: [target("169.254.169.254", answering(404)), target("10.1.1.1")] }, "HTTP_UNKNOWN_INSTANCE info likely"],
  ["a page that is no listing", nobody(answering(200)), "HTTP_OTHER error likely"],
  ["a silent service", nobody({ listing: { kind: "timeout", code: "ETIMEDOUT", ms: 3_000 }, serves: false }), "HTTP_SILENT error possible"],
  ["404 to an address that was not leased", { ...nobody(answering(404)), targets: [target("10.1.1.1", { ...answering(404), route: { kind: "found", device: "eth0", gateway: undefined, source: "10.1.1.99", local: false } })] }, "SOURCE_OTHER error certain -> HTTP_UNKNOWN_INSTANCE"],
  ["a service that is served by another address than the lease's", { targets: [target("10.1.1.1", { route: { kind: "found", device: "eth0", gateway: undefined, source: "10.1.1.99", local: false } })] }, ""],
  ["a made-up source, on an instance with two cards and no lease", { leases: [], addresses: [{ device: "eth0", address: "10.1.1.57", prefix: 24, isUp: true, mtu: 1_500 }, { device: "eth1", address: "192.168.77.5", prefix: 24, isUp: true, mtu: 1_500 }], targets: [target("169.254.169.254", { ...lost, route: { kind: "found", device: "eth0", gateway: undefined, source: "169.254.7.7", local: false } }), target("10.1.1.1")] }, "SOURCE_LINK_LOCAL warning certain -> CONNECT_TIMEOUT"],
  ["a listed key without an answer in time", { service: service({ keys: [{ name: "instance-id", listed: true, status: 0, bytes: 0 }] }) }, ""],
  ["no instance-id", { service: service({ keys: [{ name: "instance-id", listed: false, status: 404, bytes: 0 }] }) }, "KEY_ABSENT error likely"],
  ["two that differ", { targets: [target("169.254.169.254", { instanceId: "i-2" }), target("10.1.1.1")] }, "ANSWERS_DIFFER error likely"],
  ["an AAAA record, first", { dataServer: { addresses: ["fd00::1", "10.1.1.1"], silent: false, inHosts: false } }, "DATA_SERVER_AAAA error certain"],
  ["no data-server", { dataServer: { addresses: [], silent: false, inHosts: false } }, "DATA_SERVER_ABSENT info likely"],
  ["a silent resolver behind a silent router", { ...nobody(lost), dataServer: { addresses: [], silent: true, inHosts: false } }, "CONNECT_TIMEOUT error possible, RESOLVER_SILENT warning likely"],
  ["no option 54, but the name leads there", { leases: [{ ...lease, server: undefined }] }, "LEASE_NO_SERVER info likely"],
  ["no option 54, and no name", { leases: [{ ...lease, server: undefined }], dataServer: { addresses: [], silent: false, inHosts: false } }, "LEASE_NO_SERVER warning likely, DATA_SERVER_ABSENT info likely"],
  ["two leases that differ", { leases: [lease, { ...lease, client: "networkd", server: "10.1.1.9" }] }, "LEASES_DISAGREE warning possible"],
  ["an older lease of the same client", { leases: [lease, { ...lease, server: "10.1.1.9" }] }, ""],
  ["a proxy", { env: { HTTP_PROXY: "http://p:1" } }, "PROXY_SET warning certain"],
  ["an exception by prefix, which curl does not know", { env: { http_proxy: "http://p:1", no_proxy: "169.254.0.0/16,10.1.1.1" } }, "PROXY_SET warning certain"],
  ["a proxy, excepted for who serves, and not for the server of an old lease", { env: { http_proxy: "http://p:1", no_proxy: "169.254.169.254,10.1.1.1" }, targets: [target("169.254.169.254"), target("10.1.1.1"), target("10.1.1.9", lost)] }, "CONNECT_TIMEOUT info possible"],
  ["a proxy, and nobody who serves", { ...nobody(lost), env: { http_proxy: "http://p:1" } }, "CONNECT_TIMEOUT error possible, PROXY_SET warning likely"],
  ["a proxy with all excepted", { env: { http_proxy: "http://p:1", no_proxy: "*" } }, ""],
  ["a proxy for HTTPS alone", { env: { https_proxy: "http://p:1" } }, ""],
  ["large packets lost", { service: service({ sizes: { passed: [296, 1_280], lost: [3_200, 1_400] } }) }, "MTU_BLACK_HOLE error likely"],
  ["user data lost after a listing", { service: service({ userData: { kind: "timeout", code: "ETIMEDOUT", ms: 3_000 } }) }, "MTU_BLACK_HOLE error possible -> USER_DATA_FAILS"],
  ["user data that fails", { service: service({ userData: reply(500) }) }, "USER_DATA_FAILS error possible"],
  ["no user data", { service: service({ userData: reply(404) }) }, "USER_DATA_EMPTY info likely"],
  ["user data twice encoded", { service: service({ userData: reply(200, BASE64) }) }, "USER_DATA_ENCODED warning likely"],
  ["user data that only looks like base64", { service: service({ userData: reply(200, "hello") }) }, ""],
  ["a clock of another day", { service: service({ clock: { theirs: 0, ours: 86_400_000 } }) }, "CLOCK_DIFFERS warning possible"],
  ["a closed password port", { service: service({ password: { host: "10.1.1.1", spoken: { kind: "refused", code: "ECONNREFUSED", answered: false, ms: 1 } } }) }, "PASSWORD_CLOSED warning likely"],
  ["a closed password port of a service in EC2's style", { service: service({ names: ["instance-id", "ami-id"], password: { host: "10.1.1.1", spoken: { kind: "refused", code: "ECONNREFUSED", answered: false, ms: 1 } } }) }, ""],
  ["tokens required", { service: service({ tokens: "required" }) }, "TOKENS_REQUIRED info certain"],
  ["another product name, with cloud-init", { productName: "KVM", cloudInit: cloud }, "DMI_UNKNOWN warning likely"],
  ["another product name, and a list of one", { productName: "KVM", cloudInit: { ...cloud, list: ["CloudStack", "None"] } }, ""],
  ["another product name, without cloud-init", { productName: "KVM" }, ""],
  ["ds-identify found nothing", { productName: "KVM", cloudInit: { ...cloud, disabledBy: "ds-identify" } }, "DMI_UNKNOWN warning likely -> CLOUD_INIT_DISABLED"],
  ["cloud-init without a data source", { cloudInit: { ...cloud, source: "DataSourceNone" } }, "CLOUD_INIT_OTHER_SOURCE warning possible"],
  ["cloud-init on a config drive", { cloudInit: { ...cloud, source: "DataSourceConfigDrive" } }, "CLOUD_INIT_OTHER_SOURCE info possible"],
  ["cloud-init with errors", { cloudInit: { ...cloud, source: "DataSourceCloudStack", errors: ["a", "b"] } }, "CLOUD_INIT_ERRORS warning possible"],
  ["cloud-init with errors, where the link-local address is silent", { targets: [target("169.254.169.254", lost), target("10.1.1.1")], service: service({ target: target("10.1.1.1") }), cloudInit: { ...cloud, source: "DataSourceCloudStack", errors: ["a"] } }, "CLOUD_INIT_ERRORS warning possible, CONNECT_TIMEOUT info possible"],
  ["a card that is down, and another one that leads nowhere", { ...nobody(noRoute("Network is unreachable")), gateways: [], leases: [], addresses: [{ device: "eth0", address: "10.1.1.57", prefix: 24, isUp: false, mtu: 1_500 }, { device: "eth1", address: "192.168.77.5", prefix: 24, isUp: true, mtu: 1_500 }] }, "NO_ADDRESS error likely -> ROUTE_MISSING, CONNECT_TIMEOUT"],
  ["a card that is down, and another one by which the router is reached", { addresses: [{ device: "eth1", address: "192.168.77.5", prefix: 24, isUp: false, mtu: 1_500 }, { device: "eth0", address: "10.1.1.57", prefix: 24, isUp: true, mtu: 1_500 }] }, ""],
  ["only an address that was made up", { ...nobody(noRoute("Network is unreachable")), gateways: [], leases: [], addresses: [{ device: "eth0", address: "169.254.7.7", prefix: 16, isUp: true, mtu: 1_500 }] }, "NO_ADDRESS error likely -> ROUTE_MISSING, CONNECT_TIMEOUT"],
];

for (const [name, changed, expected] of CASES) {
  test(`found in: ${name}`, () => {
    const { findings, consequences } = diagnose(facts(changed), CHECKS);
    const found = findings.map((one) => `${one.code} ${one.severity} ${one.certainty}`).join(", ");
    const follows = consequences.map(({ code }) => code).join(", ");
    expect(follows === "" ? found : `${found} -> ${follows}`).toBe(expected);
  });
}

test("codes are unique, and what explains a finding is a code too", () => {
  const codes = CHECKS.flatMap(({ kinds }) => Object.keys(kinds));
  expect(new Set(codes).size).toBe(codes.length);
  for (const { kinds } of CHECKS) {
    for (const { because = [] } of Object.values(kinds)) {
      expect(because.filter((code) => !codes.includes(code))).toEqual([]);
    }
  }
});

test("no finding explains itself by way of others", () => {
  const kinds = new Map(CHECKS.flatMap((check) => Object.entries(check.kinds)));
  const reaches = (from: string, to: string, seen: readonly string[] = []): boolean =>
    (kinds.get(from)?.because ?? []).some(
      (code) => code === to || (!seen.includes(code) && reaches(code, to, [...seen, code])),
    );
  for (const code of kinds.keys()) expect([code, reaches(code, code)]).toEqual([code, false]);
});

test("a remedy names the router, and never the proxy's password", () => {
  const { findings } = diagnose(
    facts({
      env: { http_proxy: "http://me:secret@p:1" },
      dataServer: { addresses: ["10.9.9.9"], silent: false, inHosts: true },
    }),
    CHECKS,
  );
  expect(JSON.stringify(findings)).not.toContain("secret");
  expect(findings.flatMap(({ remedy }) => remedy)).toEqual([
    "sed -i '/[[:space:]]data-server/d' /etc/hosts",
    "echo '10.1.1.1 data-server' >> /etc/hosts",
    "export no_proxy=169.254.169.254,10.1.1.1 NO_PROXY=169.254.169.254,10.1.1.1",
  ]);
});
