/**
 * The bridge when something is wrong: upstreams that are down, slow or lying; a kernel that it may
 * not change; a run that was killed.
 */

import { expect, test } from "bun:test";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  BRIDGE_ARGS,
  type BridgeLab,
  ip,
  kernelState,
  launchBridge,
  metadata,
  openBridgeLab,
  password,
  startBridge,
  startUpstream,
  WEB,
} from "./bridge-lab.ts";
import { labMissing } from "./lab.ts";
import { openFolder } from "./leftovers.ts";
import { ok, run, until } from "./program.ts";
import { frontdesk, RIMS } from "./router.ts";

const lacking = labMissing(["nft", "curl", "sysctl", "setpriv"]);
const TEST_MS_MAX = 90_000;
const PATH = "/latest/meta-data/local-hostname";

const scene = (name: string, body: (scene: BridgeLab) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(
    name,
    async () => {
      await using opened = await openBridgeLab();
      await body(opened);
    },
    TEST_MS_MAX,
  );

for (const rim of RIMS) {
  scene(`a broken upstream is an empty 502 or 504, on the ${rim} rim`, async (scene) => {
    await using bridge = await startBridge(scene, rim);
    const check = async (kind: string, status: number): Promise<void> => {
      const began = performance.now();
      const seen = await Promise.all([
        metadata(scene.web, PATH),
        metadata(scene.web, "/latest/user-data"),
        password(scene.web, "send_my_password"),
      ]);
      const statuses = seen.map((reply) => reply.status);
      expect([kind, statuses]).toEqual([kind, [status, status, Math.max(status, 502)]]);
      expect(seen.map(({ body }) => body).join("")).toBe("");
      expect(performance.now() - began).toBeLessThan(6_000);
    };
    await check("down", 502);
    for (const [kind, status] of [
      ["silent", 504],
      ["closes", 502],
      ["garbage", 502],
      ["cut", 502],
      ["chunk", 502],
      ["switches", 502],
      ["endless", 502],
      ["too long", 502],
      ["stops in the middle", 504],
      ["page", 500],
      ["large and cut", 500],
    ] as const) {
      await using _upstream = await startUpstream(scene, kind);
      await check(kind, status);
    }
    expect(bridge.output()).not.toContain("bug");
    await using _upstream = await startUpstream(scene, "vr");
    expect(await metadata(scene.web, PATH)).toEqual({ status: 200, body: "web-01" });
  });
}

scene("told to stop, it lets requests end and leaves the kernel as it was", async (scene) => {
  const before = await kernelState(scene.router);
  await using _upstream = await startUpstream(scene, "silent");
  await using bridge = await startBridge(scene, "bun");
  expect(await kernelState(scene.router)).not.toBe(before);
  const slow = metadata(scene.web, PATH);
  await Bun.sleep(300);
  bridge.signal("SIGTERM");
  expect((await slow).status).toBe(504);
  expect((await bridge.ended).code).toBe(0);
  expect(await kernelState(scene.router)).toBe(before);
});

scene("what a killed bridge has left goes with the next", async (scene) => {
  const before = await kernelState(scene.router);
  await using _upstream = await startUpstream(scene, "vr");
  const killed = await startBridge(scene, "bun");
  expect((await metadata(scene.web, PATH)).body).toBe("web-01");
  const second = await launchBridge(scene, "bun").ended;
  expect([second.code, second.stderr]).toEqual([
    ...[2, `frontdesk: another bridge runs here: process ${killed.pid}\n`],
  ]);
  expect((await metadata(scene.web, PATH)).body).toBe("web-01");
  killed.signal("SIGKILL");
  await killed.ended;
  expect(await kernelState(scene.router)).not.toBe(before);
  const next = await startBridge(scene, "bun");
  expect((await metadata(scene.web, PATH)).body).toBe("web-01");
  next.signal("SIGTERM");
  await next.ended;
  expect(await kernelState(scene.router)).toBe(before);
});

scene("where others flush the ruleset, nobody is served as somebody else", async (scene) => {
  await using _upstream = await startUpstream(scene, "vr");
  await using bridge = await startBridge(scene, "bun");
  expect((await metadata(scene.web, PATH)).body).toBe("web-01");
  await ok(scene.router.command(["nft", "flush", "ruleset"]));
  expect((await metadata(scene.web, PATH)).body).toBe("");
  await until("the table to be back", 15_000, () => bridge.output().includes("was made again"));
  expect((await metadata(scene.web, PATH)).body).toBe("web-01");
});

scene("an upstream on another machine sees the guest, and answers by way of us", async (scene) => {
  const { router, db } = scene;
  // db-01's place is another machine now, with the service; its way to guests leads to us.
  const before = await kernelState(router);
  await ip(db, "address add 203.0.113.9/24 dev eth0");
  await ip(router, "address add 203.0.113.1/24 dev eth0");
  await ip(db, "route add 10.1.1.0/24 via 203.0.113.1");
  const script = `${import.meta.dirname}/bridge-upstream.ts`;
  const server = db.start([process.execPath, script, "vr", "203.0.113.9", "18680", "18681"]);
  await server.says(/ready/);
  const far = ["--upstream", "203.0.113.9:18680", "--password-upstream", "203.0.113.9:18681"];
  const killed = await startBridge(scene, "bun", far);
  expect(await metadata(scene.web, PATH)).toEqual({ status: 200, body: "web-01" });
  expect((await password(scene.web, "send_my_password")).body).toBe("fN7xvQ2p");
  killed.signal("SIGKILL");
  await killed.ended;
  expect(await kernelState(router)).toContain("198.18.0.0/15");
  const bridge = await startBridge(scene, "bun", far);
  expect(await metadata(scene.web, PATH)).toEqual({ status: 200, body: "web-01" });
  bridge.signal("SIGTERM");
  await bridge.ended;
  expect(await kernelState(router)).toBe(before);
  // What is somebody else's stays.
  await ip(router, "route add 198.18.5.0/24 dev eth0");
  const refused = await launchBridge(scene, "bun", far).ended;
  expect([refused.code, refused.stderr]).toEqual([
    ...[2, "frontdesk: 198.18.0.0/15 is in use on this machine, and the bridge needs it\n"],
  ]);
});

scene("without CAP_NET_ADMIN it says so in one line", async (scene) => {
  const args = ["bridge", ...BRIDGE_ARGS, "--leases", scene.leases];
  const { argv, env } = frontdesk("bun", args);
  const drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
  const done = await scene.router.run([...drop, ...argv], { env });
  expect([done.code, done.stderr]).toEqual([
    ...[2, "frontdesk: the bridge needs CAP_NET_ADMIN: start it as root, or give it that\n"],
  ]);
  expect(await kernelState(scene.router)).toBe("");
});

scene("two capabilities are all that it needs", async (scene) => {
  const { router, web } = scene;
  using open = openFolder("leases");
  const leases = join(open.path, "dhcpentry.json");
  copyFileSync(scene.leases, leases);
  const args = ["bridge", ...BRIDGE_ARGS, "--leases", leases];
  const { argv, env } = frontdesk("bun", args);
  const two = "+net_admin,+net_bind_service";
  const nobody = ["--reuid", "65534", "--clear-groups", "--inh-caps", two, "--ambient-caps", two];
  await using _upstream = await startUpstream(scene, "vr");
  await using bridge = router.start(["setpriv", ...nobody, ...argv], { env });
  await bridge.says(/bridge started/);
  expect(await metadata(web, PATH)).toEqual({ status: 200, body: "web-01" });
  bridge.signal("SIGTERM");
  expect((await bridge.ended).code).toBe(0);
  expect(await kernelState(router)).toBe("");
});

scene(
  "with --proxy-protocol a header names the guest, and the kernel is left alone",
  async (scene) => {
    const { router, web } = scene;
    const before = await kernelState(router);
    await using upstream = await startUpstream(scene, "proxy");
    await using _bridge = await startBridge(scene, "bun", ["--proxy-protocol"]);
    const seen = await metadata(web, PATH, "-H", "X-Forwarded-For: 10.1.1.58");
    expect(seen).toEqual({ status: 200, body: WEB.address });
    expect((await password(web, "send_my_password")).body).toBe(WEB.address);
    expect(upstream.output()).not.toContain("10.1.1.58");
    expect(await kernelState(router)).toBe(before);
  },
);

test("what is wrong with its settings is one line, and exit code 2", async () => {
  const leases = `${import.meta.dirname}/../../fixtures/cloudstack/isolated/etc-cloudstack/dhcpentry.json`;
  const base = ["--device", "eth0", "--upstream", "10.1.1.1:80", "--leases", leases];
  for (const [args, words] of [
    [[], "--device is missing"],
    [[...base], "--listen is missing"],
    [[...base, "--listen", "10.1.1.1:80"], '--listen "10.1.1.1:80": write [IPV6]:PORT'],
    [[...base, "--listen", "[::]:80"], '--listen "[::]:80": write [IPV6]:PORT'],
    [[...base, "--listen", "[::ffff:10.1.1.1]:80"], "write [IPV6]:PORT"],
    [[...base, "--listen", "[fe80::1%eth1]:80"], "has the zone of a --device"],
    [[...base, "--device", "eth1", "--listen", "[fe80::1]:80"], "has the zone of a --device"],
    [[...base, "--listen", "[fd00::1%eth0]:80"], "only a link-local address has a zone"],
    [[...base, "--listen", "[fd00::1]:80", "--upstream", "[fd00::2]:80"], "write IPV4:PORT"],
    [[...base, "--listen", "[fd00::1]:80", "--password-listen", "[fd00::1]:81"], "go together"],
    [[...base, "--listen", "[fd00::1]:80", "--leases", "/nowhere"], "/nowhere: cannot be read"],
    [[...base, "--listen", "[fd00::1]:80", "--json"], "--json goes with --print"],
  ] as const) {
    const { argv, env } = frontdesk("bun", ["bridge", ...args]);
    const { code, stdout, stderr } = await run(argv, { env });
    expect([args, code, stdout.toString()]).toEqual([args, 2, ""]);
    expect(stderr).toContain(words);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  }
});

test("--print shows what would be done, also as JSON", async () => {
  const leases = `${import.meta.dirname}/../../fixtures/cloudstack/isolated/etc-cloudstack/dhcpentry.json`;
  expect(readFileSync(leases, "utf8")).toContain(WEB.mac);
  const args = ["bridge", ...BRIDGE_ARGS, "--leases", leases, "--print"];
  const text = await ok(frontdesk("bun", args).argv);
  expect(text).toContain("table ip frontdesk_bridge {");
  expect(text).toContain("table ip6 frontdesk_bridge {");
  expect(text).toContain(`${WEB.mac}  ${WEB.address}`);
  const { guests, nft } = JSON.parse(await ok(frontdesk("bun", [...args, "--json"]).argv));
  expect(guests).toContainEqual({ mac: WEB.mac, address: WEB.address });
  expect(nft).toContain("snat to ip saddr map @guests");
});
