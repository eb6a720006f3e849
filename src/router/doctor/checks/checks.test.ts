/** Each check on facts made by hand: what it finds, and what it must not conclude from them. */

import { expect, test } from "bun:test";
import type { Ip } from "../../../model/address.ts";
import { diagnose } from "../../../observe/doctor/diagnose.ts";
import { renderDiagnosis } from "../../../observe/doctor/render.ts";
import { tablesOfIptables } from "../../../platform/firewall/iptables-lines.ts";
import type { Rule, Ruleset } from "../../../platform/firewall/model.ts";
import type { Admin, Dnsmasq, Facts, PortHolder, StateDir } from "../facts.ts";
import {
  answering,
  condition,
  facts,
  LISTENING,
  NOW,
  routerProcess,
  STATE,
  sourceWith,
  spoken,
} from "../testing.ts";
import { CHECKS } from "./index.ts";

const gone = (kind: Exclude<Admin["kind"], "answers">): Partial<Facts> => ({
  admin: { kind },
  lock: undefined,
  connects: [],
  routers: [],
  files: undefined,
});
const holder = (port: number, program: string, changed: Partial<PortHolder> = {}): PortHolder => ({
  address: "10.1.1.1",
  port,
  pid: 200,
  program,
  unit: undefined,
  ...changed,
});
const at = (pid: number, address: string, port: number) => {
  return { ...routerProcess(pid), listening: [{ address, port }] };
};
const failed = (port: number) => condition("LISTEN_FAILED", `10.1.1.1:${port} (metadata)`, "held");
const state = (changed: Partial<StateDir>): Partial<Facts> => ({ state: { ...STATE, ...changed } });
const key = (uid: number, mode: number, bytes: number): Partial<Facts> => ({
  sealKey: { path: "/var/lib/frontdesk/seal.key", isElsewhere: false, file: { uid, mode, bytes } },
});
const cut = (kind: "refused" | "unreachable" | "timeout", code: string): Partial<Facts> => ({
  connects: LISTENING.map((target, index) => ({
    target,
    spoken: index === 0 ? spoken(kind, code) : spoken("open"),
  })),
});
const nft = (
  rule: Partial<Rule>,
  policy: "accept" | "drop" = "accept",
  name = "inet filter",
): Ruleset => [
  {
    name,
    family: 0,
    tool: "nft",
    chains: [
      {
        name: "input",
        rules: [{ text: "the rule", matches: [], verdict: undefined, ...rule }],
        base: { hook: "input", priority: 0, policy },
      },
    ],
  },
];
const on80 = [{ property: "dport", negated: false, among: [80] }] as const;
const drop = { kind: "drop" } as const;
const iptables = (...lines: readonly string[]): Ruleset =>
  tablesOfIptables(["*filter", ":INPUT DROP [0:0]", ...lines, "COMMIT", ""].join("\n"), {
    family: 4,
    tool: "iptables",
  });
const dnsmasq = (changed: Partial<Dnsmasq>): Partial<Facts> => ({
  dnsmasq: { dataServer: ["10.1.1.1"], ranges: [], options: [], ...changed },
});
const SHARED = { tag: "interface-eth0-0", router: "10.1.1.1" as Ip, gateway: "10.1.1.254" as Ip };
const ROUTES = "169.254.169.254/32,10.1.1.1,0.0.0.0/0,10.1.1.254";
const LED = [`tag:interface-eth0-0,121,${ROUTES}`, `tag:interface-eth0-0,249,${ROUTES}`];
const without169 = facts().addresses.filter(({ address }) => address !== "169.254.169.254");
const onControl = [...without169, { device: "eth1", address: "169.254.169.254" }];

/** What was found, `CODE severity certainty`; then what follows, behind an arrow. */
type Case = readonly [name: string, changed: Partial<Facts>, expected: string];

// biome-ignore format: a table reads best with one line for each case
const CASES: readonly Case[] = [
  ["a healthy router", {}, ""],
  ["nothing could be learned of the machine", { isRoot: false, ruleset: undefined, neighbours: undefined, files: undefined, clockSynchronized: undefined, cpuRunsBun: undefined, guestSides: [] }, ""],
  ["a router that was told to end", gone("absent"), "ROUTER_STOPPED error likely"],
  ["no state directory", { ...gone("absent"), state: "absent", sealKey: { path: "/x", isElsewhere: false } }, "ROUTER_NEVER_RAN error certain"],
  ["a socket that is left behind", gone("closed"), "ROUTER_KILLED error likely"],
  ["a lock of a dead process", { ...gone("absent"), lock: { pid: 100, isAlive: false } }, "ROUTER_KILLED error likely"],
  ["a router that takes connections only", { ...gone("silent"), lock: { pid: 100, isAlive: true } }, "ROUTER_HANGS error possible"],
  ["a lock that is held, and no socket", { ...gone("absent"), lock: { pid: 100, isAlive: true } }, "ADMIN_ELSEWHERE warning possible"],
  ["a user who may not ask, nor see who listens", { ...gone("forbidden"), isRoot: false, state: "hidden", holders: [holder(80, "", { pid: undefined })] }, "ADMIN_FORBIDDEN warning certain"],
  ["a user who may not ask", { ...gone("forbidden"), isRoot: false, state: "hidden" }, "ADMIN_FORBIDDEN warning certain"],
  ["a user who may not write the state either", { ...gone("forbidden"), isRoot: false, ...state({ writable: "no" }) }, "ADMIN_FORBIDDEN warning certain"],
  ["another program at the admin address", gone("foreign"), "ADMIN_FOREIGN error certain"],
  ["two routers, of which one cannot be looked into", { routers: [routerProcess(100), routerProcess(101)] }, "ROUTERS_TWICE warning possible"],
  ["two routers at one address", { routers: [routerProcess(100), at(101, "0.0.0.0", 80)] }, "ROUTERS_TWICE warning likely"],
  ["two routers, each at its own", { routers: [routerProcess(100), at(101, "127.0.0.1", 8775)] }, ""],
  ["a condition", { admin: answering({ conditions: [condition("SOURCE_SHRANK", "vmdata.json")] }) }, "SOURCE_SHRANK warning certain"],
  ["many of one code", { admin: answering({ conditions: ["1", "2", "3", "4"].map((one) => condition("MAC_MISMATCH", `10.1.1.${one}`)) }) }, "MAC_MISMATCH warning certain"],
  ["a condition that only informs", { admin: answering({ conditions: [condition("HOST_UNEXPECTED", "x")] }) }, "HOST_UNEXPECTED info certain"],
  ["a condition of a later release", { admin: answering({ conditions: [{ ...condition("ROUTER_SLOW", "x"), code: "NEW" as "ROUTER_SLOW" }] }) }, "CONDITION_UNKNOWN warning certain"],
  ["loading for a second", { admin: answering({ ready: false }, { loadingSince: NOW - 1_000 }) }, "ROUTER_LOADING info likely"],
  ["loading for ten minutes", { admin: answering({ ready: false }, { loadingSince: NOW - 600_000 }) }, "ROUTER_LOADING warning possible"],
  ["loaded, and not ready", { admin: answering({ ready: false }) }, "ROUTER_NOT_READY error likely"],
  ["a listener that refuses", cut("refused", "ECONNREFUSED"), "LISTENER_REFUSED error possible"],
  ["a listener that cannot be reached", cut("unreachable", "EHOSTUNREACH"), "LISTENER_UNREACHABLE error possible"],
  ["a listener that is silent", cut("timeout", "ETIMEDOUT"), "LISTENER_TIMEOUT error possible"],
  ["a listener that is silent because of a rule", { ...cut("timeout", "ETIMEDOUT"), ruleset: nft({ matches: on80, verdict: drop }) }, "INPUT_BLOCKED error certain -> LISTENER_TIMEOUT"],
  ["a port that another program holds", { admin: answering({ ready: false, conditions: [failed(80)] }), holders: [holder(80, "nginx")] }, "PORT_HELD error certain -> LISTEN_FAILED ROUTER_NOT_READY"],
  ["the same on every address", { admin: answering({ ready: false, conditions: [failed(80)] }), holders: [holder(80, "nginx", { address: "0.0.0.0" })] }, "PORT_HELD error certain -> LISTEN_FAILED ROUTER_NOT_READY"],
  ["a port at another address", { admin: answering({ ready: false, conditions: [failed(80)] }), holders: [holder(80, "nginx", { address: "10.9.9.9" })] }, "LISTEN_FAILED error certain -> ROUTER_NOT_READY"],
  ["one of two ports that are held", { admin: answering({ ready: false, conditions: [failed(80), failed(8080)] }), holders: [holder(80, "nginx")] }, "LISTEN_FAILED error certain, PORT_HELD error certain -> LISTEN_FAILED ROUTER_NOT_READY"],
  ["Apache before the router starts", { ...gone("absent"), holders: [holder(80, "apache2", { unit: "apache2.service" })] }, "APACHE_RUNS error certain -> ROUTER_STOPPED"],
  ["a port that a second router of ours holds", { admin: answering({ ready: false, conditions: [failed(80)] }), holders: [holder(80, "frontdesk")], routers: [routerProcess(100), at(200, "10.1.1.1", 80)] }, "ROUTERS_TWICE warning likely -> LISTEN_FAILED ROUTER_NOT_READY"],
  ["port 80 where the router has other ones", { holders: [holder(80, "nginx")] }, ""],
  ["no 169.254.169.254", { addresses: without169 }, "LINK_LOCAL_ABSENT info certain"],
  ["no 169.254.169.254, and guests are led there", { addresses: without169, ...dnsmasq({ ranges: [SHARED], options: LED }) }, "LINK_LOCAL_ABSENT warning certain"],
  ["169.254.169.254 on the control link", { addresses: onControl }, "LINK_LOCAL_CONTROL warning likely"],
  ["169.254.169.254 on both", { addresses: [...facts().addresses, { device: "eth1", address: "169.254.169.254" }] }, ""],
  ["a lab without 169.254.169.254", { addresses: without169, source: { ...sourceWith({}), text: "file:lab.yaml", scheme: "file" } }, ""],
  ["no folder of databags", { source: { ...sourceWith({}), fault: "does not exist", files: [] } }, "SOURCE_ABSENT error likely"],
  ["no folder of databags, and so no router", { ...gone("absent"), source: { ...sourceWith({}), fault: "does not exist", files: [] } }, "SOURCE_ABSENT error likely -> ROUTER_STOPPED"],
  ["no metadata", { source: sourceWith({ "vmdata.json": "absent" }), admin: answering({ conditions: [condition("SOURCE_UNREADABLE", "vmdata.json")] }) }, "SOURCE_FILE_ABSENT error certain -> SOURCE_UNREADABLE"],
  ["no leases", { source: sourceWith({ "dhcpentry.json": "absent" }), admin: answering({ conditions: [condition("LEASES_ABSENT", "dhcpentry.json")] }) }, "SOURCE_FILE_ABSENT error certain -> LEASES_ABSENT"],
  ["no passwords yet", { source: sourceWith({ "vmpassword.json": "absent" }) }, ""],
  ["a databag that is cut", { source: sourceWith({ "vmdata.json": "damaged" }), admin: answering({ conditions: [condition("SOURCE_MALFORMED", "vmdata.json")] }) }, "SOURCE_FILE_DAMAGED error likely -> SOURCE_MALFORMED"],
  ["another databag's condition", { source: sourceWith({ "vmdata.json": "damaged" }), admin: answering({ conditions: [condition("SOURCE_MALFORMED", "ips.json")] }) }, "SOURCE_MALFORMED error certain, SOURCE_FILE_DAMAGED error likely"],
  ["a databag that cannot be read", { source: sourceWith({ "ips.json": "unreadable" }) }, "SOURCE_FILE_UNREADABLE error possible"],
  ["nobody says what the source is", { ...gone("absent"), source: undefined }, "ROUTER_STOPPED error likely"],
  ["a full disk", { ...state({ freeBytes: 0 }), admin: answering({ conditions: [condition("STATE_UNWRITABLE", "/var/lib/frontdesk", "ENOSPC")] }) }, "STATE_FULL error certain -> STATE_UNWRITABLE"],
  ["no inodes", state({ freeInodes: 0 }), "STATE_FULL error certain"],
  ["a disk that is almost full", state({ freeBytes: 32 << 20 }), "STATE_LOW warning certain"],
  ["a file system that counts neither", state({ freeBytes: undefined, freeInodes: undefined }), ""],
  ["a read-only disk", state({ writable: "read-only" }), "STATE_READ_ONLY error possible"],
  ["a directory that may not be written", { ...state({ writable: "no", uid: 12 }), systemd: { runs: false, hasUnit: false } }, "STATE_FORBIDDEN error likely, SEAL_KEY_UNREADABLE error likely"],
  ["another user's directory", { ...state({ uid: 12 }), ...key(12, 0o600, 32) }, "STATE_OWNER error certain"],
  ["an open directory", state({ mode: 0o755 }), "STATE_OPEN warning certain"],
  ["an open key", key(0, 0o644, 32), "SEAL_KEY_OPEN error certain"],
  ["an open key, and so no router", { ...gone("absent"), ...key(0, 0o644, 32) }, "SEAL_KEY_OPEN error certain -> ROUTER_STOPPED"],
  ["another user's key", key(12, 0o600, 32), "SEAL_KEY_UNREADABLE error likely"],
  ["a key that nobody may read", key(0, 0, 32), "SEAL_KEY_UNREADABLE error likely"],
  ["a key that is cut", key(0, 0o600, 5), "SEAL_KEY_SIZE error certain"],
  ["a key elsewhere that is not there", { sealKey: { path: "/run/x", isElsewhere: true } }, "SEAL_KEY_ABSENT error likely"],
  ["a key elsewhere, of a group", { sealKey: { path: "/run/x", isElsewhere: true, file: { uid: 12, mode: 0o440, bytes: 32 } } }, ""],
  ["no key yet", { sealKey: { path: "/x", isElsewhere: false } }, ""],
  ["a rule that drops port 80", { ruleset: nft({ matches: on80, verdict: drop }) }, "INPUT_BLOCKED error certain"],
  ["a rule that drops another device's", { ruleset: nft({ matches: [{ property: "in", negated: false, among: ["eth2"] }], verdict: drop }) }, ""],
  ["a rule that may drop", { ruleset: nft({ matches: [{ property: "unknown", negated: false, among: [] }], verdict: drop }) }, "INPUT_BLOCKED warning possible"],
  ["a policy that drops", { ruleset: nft({}, "drop") }, "INPUT_BLOCKED error certain"],
  ["a table of our own that drops others", { ruleset: nft({ verdict: drop }, "drop", "inet frontdesk") }, ""],
  ["a virtual router's own rules", { ruleset: iptables("-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT", "-A INPUT -i eth0 -p tcp -m tcp --dport 8080 -j ACCEPT") }, ""],
  ["the same without port 8080", { ruleset: iptables("-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT") }, "INPUT_BLOCKED error certain"],
  ["our table is kept, and there", { admin: answering({}, { firewall: "kept" }), ruleset: nft({}, "accept", "inet frontdesk") }, ""],
  ["our table is kept, and gone", { admin: answering({}, { firewall: "kept" }) }, "FIREWALL_ABSENT error likely"],
  ["many neighbours", { neighbours: { entries: 1_000, max: 1_024 } }, "NEIGHBOURS_FULL warning likely"],
  ["more guests than neighbours fit", { admin: answering({}, { bindings: 1_000 }) }, "NEIGHBOURS_FULL warning likely"],
  ["few files", { files: { pid: 100, max: 128, hard: 1_024, open: 30 } }, "FILES_FEW warning certain"],
  ["few files for many guests", { files: { pid: 100, max: 1_024, hard: 1_024, open: 30 }, admin: answering({}, { bindings: 500 }) }, "FILES_FEW warning certain"],
  ["files that are used up", { files: { pid: 100, max: 1_024, hard: 4_096, open: 1_020 } }, "FILES_FEW error certain"],
  ["a clock of 1970", { now: 1_000, source: undefined }, "CLOCK_WRONG warning possible"],
  ["a clock of its own", { clockSynchronized: false }, "CLOCK_FREE info possible"],
  ["an old CPU", { ...gone("absent"), cpuRunsBun: false }, "CPU_OLD error certain -> ROUTER_STOPPED"],
  ["an old CPU, and Node.js", { cpuRunsBun: false }, "CPU_OLD info certain"],
  ["dnsmasq as it should be", dnsmasq({}), ""],
  ["dnsmasq without data-server", dnsmasq({ dataServer: [] }), "DATA_SERVER_UNNAMED warning likely"],
  ["dnsmasq with another data-server", dnsmasq({ dataServer: ["10.1.1.9"] }), "DATA_SERVER_ELSEWHERE warning likely"],
  ["a shared network without option 121", dnsmasq({ ranges: [SHARED] }), "OPTION_121_MISSING warning certain"],
  ["a shared network with it", dnsmasq({ ranges: [SHARED], options: LED }), ""],
  ["another DHCP server's name", dnsmasq({ options: ["54,10.1.1.9"] }), "OPTION_54_ELSEWHERE warning likely"],
];

for (const [name, changed, expected] of CASES)
  test(`found in: ${name}`, () => check(changed, expected));

function check(changed: Partial<Facts>, expected: string): void {
  const { findings, consequences } = diagnose(facts(changed), CHECKS);
  const found = findings.map(({ code, severity, certainty }) => `${code} ${severity} ${certainty}`);
  const follow = consequences.map(({ code }) => code).sort();
  const arrow = follow.length === 0 ? "" : ` -> ${follow.join(" ")}`;
  expect(found.join(", ") + arrow).toBe(expected);
}

// biome-ignore format: a table reads best with one line for each case
const REMEDIES: readonly (readonly [name: string, changed: Partial<Facts>, commands: readonly string[]])[] = [
  ["a service is started", gone("absent"), ["systemctl start frontdesk-router"]],
  ["without one, as it was called", { ...gone("absent"), systemd: { runs: false, hasUnit: false }, stateDir: "/run/a b", adminFlags: ["--admin", "unix:/x"] }, ["frontdesk router --source databag:/etc/cloudstack --state-dir '/run/a b' --admin-listen unix:/x"]],
  ["one that hangs is ended and started as it was", { ...gone("silent"), lock: { pid: 100, isAlive: true }, routers: [routerProcess(100)], systemd: { runs: false, hasUnit: false } }, ["kill -KILL 100; while kill -0 100 2>/dev/null; do sleep 0.1; done", "cd / && /usr/local/bin/frontdesk router --source databag:/etc/cloudstack"]],
  ["a table of ours is made anew", { admin: answering({}, { firewall: "kept" }) }, ["systemctl reload frontdesk-router"]],
  ["few files, up to the hard limit", { files: { pid: 100, max: 128, hard: 20_000, open: 30 } }, ["prlimit --pid 100 --nofile=20000:"]],
  ["few files, beyond it", { files: { pid: 100, max: 128, hard: 128, open: 30 } }, ["prlimit --pid 100 --nofile=65536:65536"]],
  ["nothing is guessed", { ...gone("absent"), systemd: { runs: false, hasUnit: false }, source: undefined }, []],
  ["a service that holds the port is stopped for good", { ...gone("absent"), holders: [holder(80, "apache2", { unit: "apache2.service" })] }, ["systemctl disable --now apache2.service"]],
  ["a process that holds it is ended", { ...gone("absent"), holders: [holder(80, "nginx")] }, ["kill 200"]],
  ["one that may not be seen is looked for", { ...gone("absent"), holders: [holder(80, "", { pid: undefined, program: undefined })] }, ["ss -ltnp 'sport = :80'"]],
  ["the second router is ended, not the one that answers", { routers: [routerProcess(100), at(101, "10.1.1.1", 80)] }, ["kill 101"]],
  ["a way in, for guests and for this machine", { ruleset: nft({ matches: on80, verdict: drop }) }, ["nft insert rule inet filter input iifname eth0 tcp dport '{ 80 }' accept", "nft insert rule inet filter input iifname lo tcp dport '{ 80 }' accept"]],
  ["a way in, on the guests' device only", { ruleset: nft({ matches: [{ property: "in", negated: false, among: ["eth0"] }], verdict: drop }) }, ["nft insert rule inet filter input iifname eth0 tcp dport '{ 80, 8080 }' accept"]],
  ["the same in iptables' words", { ruleset: iptables() }, ["iptables -t filter -I INPUT -i eth0 -p tcp -m multiport --dports 80,8080 -j ACCEPT", "iptables -t filter -I INPUT -i lo -p tcp -m multiport --dports 80,8080 -j ACCEPT"]],
  ["room for twice as many neighbours", { neighbours: { entries: 1_000, max: 1_024 } }, ["sysctl -w net.ipv4.neigh.default.gc_thresh3=4096 net.ipv4.neigh.default.gc_thresh2=2048"]],
];

for (const [name, changed, commands] of REMEDIES) {
  test(`remedy: ${name}`, () => {
    expect(diagnose(facts(changed), CHECKS).findings[0]?.remedy).toEqual([...commands]);
  });
}

test("codes are unique, and what explains a finding is a code too", () => {
  const codes = CHECKS.flatMap(({ kinds }) => Object.keys(kinds));
  expect(new Set(codes).size).toBe(codes.length);
  for (const { kinds } of CHECKS) {
    for (const { because = [], where } of Object.values(kinds)) {
      for (const code of because) expect(codes).toContain(code);
      expect(where).not.toBe("guest");
    }
  }
});

test("names fit into the table", () => {
  for (const { name } of CHECKS) expect(name.length).toBeLessThan(12);
});

test("what others wrote is made harmless", () => {
  const admin = answering({ conditions: [condition("SOURCE_SHRANK", "\u001b[2J")] });
  const text = renderDiagnosis(diagnose(facts({ admin }), CHECKS), { ms: 1 }).join("\n");
  expect(text).toContain("\\u{1b}[2J");
  expect(text).not.toContain("\u001b");
});
