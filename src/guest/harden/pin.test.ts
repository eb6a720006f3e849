/** What is pinned, what refuses to be, and that the files come back as they were. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { type Endpoint, endpointAt, type Via } from "../endpoint.ts";
import { openFiles } from "./files.ts";
import { harden } from "./harden.ts";
import { readHardenOptions } from "./options.ts";
import { PIN_FILE, planPin, withoutBlock } from "./pin.ts";
import { type Given, optionValues, playedExec, testPorts, willingNft } from "./testing.ts";

const HOSTS = "127.0.0.1 localhost\n10.1.1.57 web-01";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fd-pin-"));
  put("/etc/cloud/cloud.cfg", "users: [default]\n");
  put("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ NoCloud, CloudStack, None ]\n");
  put("/etc/hosts", HOSTS);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("the router that DNS and DHCP agree on is pinned, and removal leaves no trace", async () => {
  const found = [at("10.1.1.1", "data-server"), at("10.1.1.1", "dhcp"), at("10.1.1.9", "gateway")];
  const done = await run({ pin: true, apply: true }, found);
  expect(done.files.map(({ action }) => action)).toEqual(["write", "write"]);
  expect(text(PIN_FILE)).toMatch(/^datasource_list: \[ CloudStack, None \]$/m);
  expect(text("/etc/hosts")).toMatch(/^10\.1\.1\.1 data-server$/m);
  expect(text("/etc/hosts")).toContain("10.1.1.57 web-01");

  expect((await run({ pin: true, apply: true }, found)).files.map(({ action }) => action)).toEqual([
    "keep",
    "keep",
  ]);
  await run({ remove: true }, []);
  expect(text("/etc/hosts")).toBe(HOSTS);
  expect(text(PIN_FILE)).toBeUndefined();
});

test("without --apply no file is written", async () => {
  const done = await run({ pin: true }, [at("10.1.1.1", "dhcp")]);
  expect(done.files.map(({ action }) => action)).toEqual(["write", "write"]);
  expect(text("/etc/hosts")).toBe(HOSTS);
  expect(text(PIN_FILE)).toBeUndefined();
});

test("--check --pin finds a pin that was undone", async () => {
  await run({ pin: true, apply: true }, [at("10.1.1.1", "dhcp")]);
  put("/etc/hosts", HOSTS);
  const done = await run({ pin: true, check: true }, [at("10.1.1.1", "dhcp")]);
  expect(done.findings).toContain("/etc/hosts is not as --apply would write it");
});

test("what DNS and DHCP disagree on is not pinned, unless it is named", () => {
  const found = [at("10.1.1.1", "dhcp"), at("10.1.1.66", "data-server")];
  expect(() => plan([], found)).toThrow("several routers (10.1.1.1, 10.1.1.66)");
  expect(plan([at("10.1.1.1", "option")], found).address as string).toBe("10.1.1.1");
});

test("the gateway is the last resort; nothing at all, or IPv6 only, is no router", () => {
  expect(plan([], [at("10.1.1.1", "gateway")]).address as string).toBe("10.1.1.1");
  expect(() => plan([], [at("169.254.169.254", "link-local")])).toThrow("found no router");
  expect(() => plan([], [at("fd00::1", "dhcp")])).toThrow("found no router");
  expect(() => plan([at("fd00::1", "option")], [])).toThrow("IPv4");
  const odd = endpointAt("10.1.1.1", { via: "option", port: 8775 });
  expect(() => plan([odd], [])).toThrow("cloud-init asks port 80");
});

test("an instance that boots from something else is not pinned to CloudStack", () => {
  put("/var/lib/cloud/instance/datasource", "DataSourceConfigDrive: DataSourceConfigDrive\n");
  expect(() => plan([], [at("10.1.1.1", "dhcp")])).toThrow("cloud-init uses ConfigDrive");
  put("/var/lib/cloud/instance/datasource", "DataSourceCloudStack: DataSourceCloudStack\n");
  expect(plan([], [at("10.1.1.1", "dhcp")]).notes).toEqual([]);
  rmSync(join(root, "etc/cloud/cloud.cfg"));
  expect(() => plan([], [at("10.1.1.1", "dhcp")])).toThrow("not installed");
});

test("a line that names another data-server must go first", () => {
  put("/etc/hosts", `${HOSTS}\n10.1.1.66 x data-server # old\n`);
  expect(() => plan([], [at("10.1.1.1", "dhcp")])).toThrow('remove "10.1.1.66 x data-server');
});

test("what would override the pin is told", () => {
  put("/etc/cloud/cloud.cfg.d/zzz.cfg", "datasource_list: [ Ec2 ]\nmanage_etc_hosts: true\n");
  put("/etc/nsswitch.conf", "passwd: files\nhosts: dns files\n");
  put("/proc/cmdline", "root=/dev/vda1 ci.ds=Ec2 ro\n");
  put("/var/lib/cloud/seed/cs/meta-data", "");
  const { notes } = plan([], [at("10.1.1.1", "dhcp")]);
  for (const word of [
    "overrides the pin",
    "manage_etc_hosts",
    "nsswitch",
    "command line",
    "seed",
  ]) {
    expect(notes.join("\n")).toContain(word);
  }
});

test("any hosts file comes back byte for byte", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (before) => {
      const path = join(root, "etc/hosts");
      writeFileSync(path, before);
      const files = openFiles(root);
      const [, wish] = plan([], [at("10.1.1.1", "dhcp")]).wishes;
      files.write("/etc/hosts", wish?.text ?? "");
      expect(readFileSync(path, "latin1")).toContain("data-server");
      files.write("/etc/hosts", withoutBlock(files.read("/etc/hosts") ?? ""));
      expect(new Uint8Array(readFileSync(path))).toEqual(before);
    }),
  );
});

test("a hosts file that is a link stays one", async () => {
  put("/etc/static/hosts", HOSTS);
  rmSync(join(root, "etc/hosts"));
  symlinkSync("static/hosts", join(root, "etc/hosts"));
  await run({ pin: true, apply: true }, [at("10.1.1.1", "dhcp")]);
  expect(text("/etc/static/hosts")).toContain("data-server");
  await run({ remove: true }, []);
  expect(text("/etc/static/hosts")).toBe(HOSTS);
});

function plan(named: readonly Endpoint[], found: readonly Endpoint[]): ReturnType<typeof planPin> {
  return planPin(named, found, openFiles(root));
}

async function run(given: Given, found: readonly Endpoint[]): ReturnType<typeof harden> {
  const ports = testPorts({ exec: playedExec([], willingNft), root, found });
  return harden(readHardenOptions(optionValues(given)), ports);
}

function at(host: string, via: Via): Endpoint {
  return endpointAt(host, { via });
}

function put(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

function text(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
}
