/**
 * The bridge's systemd unit: no less hardened than the router's, and what it starts with the
 * environment that docs/bridge.md shows serves guests with no other right than it grants.
 */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EC2, get, kernelState, openBridgeLab, startUpstream, WEB } from "./bridge-lab.ts";
import { hasTool, labMissing } from "./lab.ts";
import { openFolder } from "./leftovers.ts";
import { frontdesk } from "./router.ts";

const ROOT = join(import.meta.dirname, "../..");
const UNITS = join(ROOT, "packaging/systemd");
const lacking = labMissing(["nft", "curl", "sysctl", "setpriv"]);
const TEST_MS_MAX = 60_000;
/** What is about the service itself, and not about its rights. */
const OWN =
  /^(Type|Exec|Restart|Timeout|State|Runtime|Environment|Limit|Memory|OOM|CapabilityBounding)/;

test("its rights are the router's, and what nftables needs", () => {
  const rights = (unit: string) => settings(unit).filter((line) => !OWN.test(line));
  expect(rights("bridge")).toEqual(rights("router"));
  expect(rights("bridge").length).toBeGreaterThan(15);
  expect(settings("bridge")).toContain("CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN");
});

test.skipIf(!hasTool("systemd-analyze"))("systemd has nothing to say against it", () => {
  const unit = join(UNITS, "frontdesk-bridge.service");
  using folder = openFolder("unit");
  const copy = join(folder.path, "frontdesk-bridge.service");
  const text = readFileSync(unit, "utf8").replaceAll("/usr/local/bin/", `${ROOT}/bin/`);
  writeFileSync(copy, text);
  const args = ["verify", "--man=no", copy];
  const { status, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

test.skipIf(lacking !== undefined)(
  "its command serves guests with the rights that it grants",
  async () => {
    await using scene = await openBridgeLab();
    const { router, web, lab, leases } = scene;
    await using _upstream = await startUpstream(scene, "vr");
    const env: Record<string, string> = { ...environment(), FRONTDESK_BRIDGE_LEASES: leases };
    // The imitation of CloudStack's router has other ports.
    const ports = { UPSTREAM: "10.1.1.1:18680", PASSWORD_UPSTREAM: "10.1.1.1:18681" };
    for (const [name, at] of Object.entries(ports)) env[`FRONTDESK_BRIDGE_${name}`] = at;
    const [, command = ""] = /^ExecStart=(.*)$/m.exec(settings("bridge").join("\n")) ?? [];
    const [program, ...args] = command
      .replace(" $BRIDGE_FLAGS", "")
      .replace("/run/frontdesk-bridge", lab.folder)
      .split(" ");
    expect(program).toBe("/usr/local/bin/frontdesk");
    const { argv, env: more } = frontdesk("bun", args);
    const two = "-all,+net_admin,+net_bind_service";
    const rights = ["setpriv", "--bounding-set", two, "--inh-caps", "-all", "--no-new-privs"];
    await using bridge = router.start([...rights, ...argv], { env: { ...env, ...more } });
    await bridge.says(/bridge started/);
    const path = "/latest/meta-data/local-hostname";
    expect(await get(web, `http://[${EC2}]${path}`)).toEqual({ status: 200, body: "web-01" });
    const word = ["-H", "DomU_Request: send_my_password"];
    expect((await get(web, `http://[${EC2}]:8080/`, ...word)).body).toBe("fN7xvQ2p");
    const socket = join(lab.folder, "admin.sock");
    const ready = await router.run(["curl", "-s", "--unix-socket", socket, "http://x/readyz"]);
    expect(ready.stdout.toString()).toBe('{"ready":true,"troubles":[]}\n');
    bridge.signal("SIGTERM");
    expect((await bridge.ended).code).toBe(0);
    expect(bridge.output()).toContain(`"instance":"${WEB.address}"`);
    expect(await kernelState(router)).toBe("");
  },
  TEST_MS_MAX,
);

/** The lines of a unit that set something, in its order. */
function settings(unit: string): string[] {
  const text = readFileSync(join(UNITS, `frontdesk-${unit}.service`), "utf8");
  const service = text.split(/^\[/m).find((part) => part.startsWith("Service]")) ?? "";
  return service.split("\n").filter((line) => /^[A-Z]\w+=/.test(line));
}

/** What docs/bridge.md writes into bridge.env. */
function environment(): Record<string, string> {
  const page = readFileSync(join(ROOT, "docs/bridge.md"), "utf8");
  const [, text = ""] = /bridge\.env <<'END'\n(.*?)\nEND\n/s.exec(page) ?? [];
  const pairs = [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)];
  expect(pairs.length).toBe(6);
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value]));
}
