/** What the doctor's readers make of files and command lines: folders made for a test. */

import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { Facts } from "./facts.ts";
import { systemPorts } from "./ports.ts";
import { readAdmin } from "./read-admin.ts";
import { isRouter, readDnsmasq } from "./read-machine.ts";
import { readSource } from "./read-source.ts";
import { readSealKeyFile, readState } from "./read-state.ts";

const folder = mkdtempSync(join(tmpdir(), "frontdesk-doctor-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const SECRET = "s3cret";

// biome-ignore format: a table reads best with one line for each case
const COMMANDS: readonly (readonly [line: string, expected: boolean])[] = [
  ["/usr/local/bin/frontdesk router --source databag:/etc/cloudstack", true],
  ["/usr/bin/node /usr/local/lib/frontdesk.mjs router --listen auto", true],
  ["/x/bun --no-env-file --config=/y/bunfig.toml /y/src/cli/main.ts router --source file:z", true],
  ["/usr/bin/node /usr/local/lib/frontdesk.mjs serve --state-dir router", true],
  ["/usr/local/bin/frontdesk why router", false],
  ["/usr/local/bin/frontdesk router firewall --print", false],
  ["/usr/local/bin/frontdesk router dhcp", false],
  ["/usr/local/bin/frontdesk router --config x --namespace tenant", false],
  ["/usr/local/bin/frontdesk bridge --device eth0", false],
  ["/usr/local/bin/frontdesk-guest get router", false],
  ["sudo frontdesk router --source file:z", false],
  ["timeout 5 frontdesk router", false],
  ["vi router", false],
];

for (const [line, expected] of COMMANDS) {
  test(`${expected ? "a router" : "no router"}: ${line}`, () => {
    expect(isRouter([...line.split(" "), ""])).toBe(expected);
  });
}

test("dnsmasq: names from every hosts file, ranges and options from every file", () => {
  const root = join(folder, "root");
  mkdirSync(join(root, "etc/dnsmasq.d"), { recursive: true });
  expect(readDnsmasq([], root)).toBeUndefined();
  const own = [{ device: "eth0", address: "198.51.100.9" as Ip }];
  const write = (path: string, ...lines: string[]): void =>
    writeFileSync(join(root, path), `${lines.join("\n")}\n`);
  write("etc/hosts", "127.0.0.1 localhost", "198.51.100.9 r-1 data-server # ours");
  write("etc/more", "10.9.9.9 data-server.cs1cloud.internal", "10.9.9.8 no-data-server");
  write("etc/dnsmasq.conf", "addn-hosts=/etc/more", "dhcp-option=54,10.9.9.9");
  const tag = "interface-eth0-0";
  const range = `dhcp-range=set:${tag},198.51.100.1,static`;
  write("etc/dnsmasq.d/cloud.conf", range, `dhcp-option=tag:${tag},3,198.51.100.1`);
  expect(readDnsmasq(own, root)).toEqual({
    dataServer: ["198.51.100.9", "10.9.9.9"],
    ranges: [{ tag, router: "198.51.100.9" as Ip, gateway: "198.51.100.1" as Ip }],
    options: ["54,10.9.9.9", `tag:${tag},3,198.51.100.1`],
  });
});

test("a source: what is there, what is cut, whose addresses are the guests'; no value of it", async () => {
  const bags = join(folder, "bags");
  mkdirSync(bags);
  writeFileSync(join(bags, "vmdata.json"), `{"10.1.1.57": ["${SECRET}"`);
  writeFileSync(join(bags, "dhcpentry.json"), "[]");
  mkdirSync(join(bags, "cmdline.json"));
  const nic = (nw_type: string, public_ip: string) => ({ nw_type, public_ip, device: "eth0" });
  const ips = { eth0: [nic("guest", "10.1.1.1"), { ...nic("guest", "10.1.1.9"), add: false }] };
  writeFileSync(
    join(bags, "ips.json"),
    JSON.stringify({ ...ips, eth2: [nic("public", "1.2.3.4")], id: "ips" }),
  );
  const { facts, own } = await readSource("databag:bags", folder);
  const states = Object.fromEntries((facts?.files ?? []).map(({ name, state }) => [name, state]));
  expect(states).toEqual({
    "vmdata.json": "damaged",
    "dhcpentry.json": "good",
    "ips.json": "good",
    "cmdline.json": "unreadable",
    "guestnetwork.json": "absent",
    "vmpassword.json": "absent",
  });
  expect(own).toEqual([{ device: "eth0", address: "10.1.1.1" }]);
  expect(JSON.stringify(facts)).not.toContain(SECRET);
  expect((await readSource("databag:none", folder)).facts.fault).toBe("does not exist");
  expect((await readSource("file:none", folder)).facts.files[0]?.state).toBe("absent");
  expect((await readSource("sqlite:none", folder)).facts).toMatchObject({
    scheme: "sqlite",
    files: [],
  });
});

test("a state directory and its key: numbers of the file, never its content", async () => {
  const dir = join(folder, "state");
  expect(await readState(dir)).toBe("absent");
  mkdirSync(dir, { mode: 0o700 });
  const state = (await readState(dir)) as Exclude<Facts["state"], string>;
  expect([state.mode, state.writable]).toEqual([0o700, "yes"]);
  expect(state.freeBytes).toBeGreaterThan(0);
  expect((await readSealKeyFile(dir, undefined)).file).toBeUndefined();
  writeFileSync(join(dir, "seal.key"), SECRET);
  chmodSync(join(dir, "seal.key"), 0o640);
  const key = await readSealKeyFile(dir, undefined);
  expect(key.file).toMatchObject({ mode: 0o640, bytes: SECRET.length });
  expect(JSON.stringify(key)).not.toContain(SECRET);
  expect(await readSealKeyFile(dir, "/nowhere")).toEqual({ path: "/nowhere", isElsewhere: true });
});

test("who answers at an admin listener", async () => {
  const socket = join(folder, "admin.sock");
  writeFileSync(socket, "");
  const check = async (texts: Readonly<Record<string, string>> | Error): Promise<string> => {
    const ask = async (_place: unknown, path: string) => {
      if (texts instanceof Error) throw texts;
      return { status: 200, text: texts[path] ?? "{}" };
    };
    return (await readAdmin({ ...systemPorts(), ask }, { unix: socket })).kind;
  };
  const ours = { "/status": '{"version":"1"}', "/conditions": "[]" };
  expect(await check(ours)).toBe("answers");
  expect(await check({ ...ours, "/status": "<html>" })).toBe("foreign");
  expect(await check({ ...ours, "/status": "null" })).toBe("foreign");
  expect(await check({ ...ours, "/conditions": '{"error":{}}' })).toBe("foreign");
  expect(await check(new Error("it does not answer"))).toBe("silent");
  expect(await check(Object.assign(new Error("x"), { code: "ECONNREFUSED" }))).toBe("closed");
  expect(await check(Object.assign(new Error("x"), { code: "EACCES" }))).toBe("forbidden");
  rmSync(socket);
  expect(await check(ours)).toBe("absent");
});
