/**
 * Debian's cloud-init boots from the router.
 *
 * Goal: a guest gets from a real boot everything that CloudStack promised it.
 * Method: a guest machine behind a router namespace with the real dnsmasq; a real DHCP client;
 * the boot stages in their order; then a look at the files that the boot left.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type DnsmasqOptions, startDnsmasq } from "./dnsmasq.ts";
import { hasTool, labMissing, openLab, ROUTER_ADDRESS } from "./lab.ts";
import { type Machine, startMachine } from "./machine.ts";
import { RIMS, type Rim, startRouter } from "./router.ts";

const DATABAGS = join(import.meta.dirname, "../../fixtures/cloudstack/isolated/etc-cloudstack");
const GUEST = "10.1.1.57";
const TEST_MS_MAX = 60_000;

const TOOLS = ["dnsmasq", "cloud-init", "dhclient", "wget", "setpriv", "perl"];
const lacking = labMissing(TOOLS);

interface Case {
  readonly name: string;
  readonly dns: DnsmasqOptions;
  readonly dhcp: readonly string[];
  /** What cloud-init's log says of how it found the router. */
  readonly found: string;
}

const CASES: readonly Case[] = [
  {
    name: "by the name data-server, with no lease file at hand",
    dns: { dataServer: true },
    dhcp: hasTool("udhcpc")
      ? ["udhcpc", "-i", "eth0", "-n", "-q", "-f"]
      : ["dhclient", "-1", "-lf", "/run/dhclient.leases", "eth0"],
    found: `Found metadata server '${ROUTER_ADDRESS}' via data-server DNS entry`,
  },
  {
    // The gateway is another machine, so that nothing but option 54 can lead to the router.
    name: "by the server identifier of its lease, where data-server has no record",
    dns: { dataServer: false, gateway: "10.1.1.254" },
    dhcp: ["dhclient", "-1", "-lf", "/var/lib/dhcp/dhclient.eth0.leases", "eth0"],
    found: `Found DHCP identifier ${ROUTER_ADDRESS}`,
  },
];

for (const rim of RIMS) {
  for (const { name, ...way } of CASES) {
    test.skipIf(lacking !== undefined)(
      `cloud-init boots from the ${rim} rim, which it finds ${name}`,
      () => check(rim, way),
      TEST_MS_MAX,
    );
  }
}

async function check(rim: Rim, way: Omit<Case, "name">): Promise<void> {
  await using lab = await openLab({ guests: [{ mac: lease().mac_address }] });
  await using _dns = await startDnsmasq(lab, way.dns);
  await using _router = await startRouter({
    rim,
    place: lab.router,
    source: `databag:${DATABAGS}`,
    listen: [`${ROUTER_ADDRESS}:80`, "169.254.169.254:80"],
    passwordListen: [`${ROUTER_ADDRESS}:8080`],
    stateDir: join(lab.folder, "state"),
  });
  const [guest] = lab.guests;
  if (guest === undefined) throw new Error("the lab has no guest");
  await using machine = await startMachine(lab, guest);
  await machine.ok(way.dhcp);
  await boot(machine);

  expect((await machine.read("/run/cloud-init/cloud.cfg")).toString()).toMatch(
    /^datasource_list: \[ CloudStack, None \]$/m,
  );
  expect((await machine.read("/var/log/cloud-init.log")).toString()).toContain(way.found);
  await checkMetadata(machine);
  await checkUserData(machine);
  await checkKeys(machine);
  await checkPassword(machine);
}

/** The stages in the order in which systemd runs them. */
async function boot(machine: Machine): Promise<void> {
  await machine.ok(["/usr/lib/cloud-init/ds-identify", "--force"]);
  await machine.ok(["cloud-init", "init", "--local"]);
  await machine.ok(["cloud-init", "init"]);
  await machine.ok(["cloud-init", "modules", "--mode=config"]);
  const status = JSON.parse((await machine.read("/run/cloud-init/status.json")).toString());
  expect(status.v1.datasource).toBe("DataSourceCloudStack");
  for (const stage of ["init-local", "init", "modules-config"]) {
    expect(status.v1[stage].errors).toEqual([]);
    expect(status.v1[stage].finished).toBeNumber();
  }
}

async function checkMetadata(machine: Machine): Promise<void> {
  const path = "/run/cloud-init/instance-data-sensitive.json";
  const found = JSON.parse((await machine.read(path)).toString());
  const expected: Record<string, unknown> = {};
  for (const [key, value] of metadata()) {
    // cloud-init makes a list of what has several lines.
    expected[key] = value?.includes("\n") ? value.split("\n") : (value ?? "");
  }
  expect(found.ds.meta_data).toEqual(expected);
  const id = (await machine.read("/run/cloud-init/.instance-id")).toString();
  expect(id).toBe(`${expected["instance-id"]}\n`);
  expect(await machine.ok(["hostname"])).toBe("web-01\n");
}

async function checkUserData(machine: Machine): Promise<void> {
  const bytes = await machine.read("/var/lib/cloud/instance/user-data.txt");
  expect(bytes).toEqual(Buffer.from(entry("userdata", "user-data") ?? "", "base64"));
  // Its write_files was carried out.
  expect((await machine.read("/etc/motd")).toString()).toBe("welcome to web-01");
}

async function checkKeys(machine: Machine): Promise<void> {
  const keys = (entry("metadata", "public-keys") ?? "").split("\n");
  const debian = (await machine.read("/home/debian/.ssh/authorized_keys")).toString();
  expect(debian.trimEnd().split("\n").sort()).toEqual([...keys].sort());
  // Root may not log in; its file holds the same keys behind a command that says so.
  const root = (await machine.read("/root/.ssh/authorized_keys")).toString();
  for (const key of keys) expect(root).toContain(key);
}

async function checkPassword(machine: Machine): Promise<void> {
  const password = databag("vmpassword.json")[GUEST];
  const [, hash = ""] = (await machine.ok(["getent", "shadow", "debian"])).split(":");
  const same = ["perl", "-e", "exit(crypt($ARGV[0], $ARGV[1]) ne $ARGV[1])", password, hash];
  await machine.ok(same);
  // cloud-init has acknowledged it, so it is not delivered again.
  const ask = ["wget", "-q", "-O", "-", "--header", "DomU_Request: send_my_password"];
  expect(await machine.ok([...ask, `${ROUTER_ADDRESS}:8080`])).toBe("saved_password");
}

// biome-ignore lint/suspicious/noExplicitAny: a fixture, known to have this shape.
function databag(name: string): any {
  return JSON.parse(readFileSync(join(DATABAGS, name), "utf8"));
}

function lease(): { readonly mac_address: string } {
  return databag("dhcpentry.json")[GUEST];
}

function metadata(): readonly (readonly [string, string | null])[] {
  const entries: [string, string, string | null][] = databag("vmdata.json")[GUEST];
  return entries.filter(([folder]) => folder === "metadata").map(([, key, value]) => [key, value]);
}

function entry(folder: string, key: string): string | null | undefined {
  const entries: [string, string, string | null][] = databag("vmdata.json")[GUEST];
  return entries.find((found) => found[0] === folder && found[1] === key)?.[2];
}
