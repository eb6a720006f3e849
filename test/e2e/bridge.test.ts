/**
 * IPv6-only guests before a service that speaks IPv4 only, in namespaces: our own router, and an
 * imitation of CloudStack's.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  addressesOf,
  type BridgeLab,
  DB,
  EC2,
  get,
  ip,
  LINK_LOCAL,
  metadata,
  openBridgeLab,
  password,
  startBridge,
  startIpv4Router,
  startUpstream,
  WEB,
} from "./bridge-lab.ts";
import { labMissing } from "./lab.ts";
import { ok, until } from "./program.ts";
import { RIMS } from "./router.ts";

const lacking = labMissing(["nft", "curl", "sysctl", "python3"]);
const TEST_MS_MAX = 60_000;
const SPOOF = join(import.meta.dirname, "spoof.py");
const SILENT = join(import.meta.dirname, "bridge-silent.py");
const FLOOD = join(import.meta.dirname, "bridge-flood.py");

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
  scene(`our router serves IPv6-only guests by the bridge, on the ${rim} rim`, async (scene) => {
    const { web, db, nobody } = scene;
    await using _router = await startIpv4Router(scene, rim);
    await using bridge = await startBridge(scene, rim);
    const hostname = "/latest/meta-data/local-hostname";
    for (const [guest, name, ipv4] of [
      [web, "web-01", WEB.address],
      [db, "db-01", DB.address],
    ] as const) {
      const addresses = await addressesOf(guest);
      expect(addresses.length).toBeGreaterThanOrEqual(4);
      for (const from of addresses) {
        const at = from.startsWith("fe80:")
          ? `[${LINK_LOCAL}%25eth0]`
          : from.startsWith("fd00:")
            ? `[${EC2}]`
            : "[2001:db8:5a::1]";
        const by = from.startsWith("fe80:") ? "eth0" : from;
        const seen = await get(guest, `http://${at}${hostname}`, "--interface", by);
        expect([from, seen]).toEqual([from, { status: 200, body: name }]);
      }
      const own = await metadata(guest, "/latest/meta-data/local-ipv4");
      expect(own).toEqual({ status: 200, body: ipv4 });
    }
    expect(await password(db, "send_my_password")).toEqual({ status: 200, body: "saved_password" });
    expect(await password(web, "send_my_password")).toEqual({ status: 200, body: "fN7xvQ2p" });
    await password(web, "saved_password");
    expect((await password(web, "send_my_password")).body).toBe("saved_password");
    expect(await metadata(nobody, hostname)).toEqual({ status: 404, body: "" });
    expect((await password(nobody, "send_my_password")).body).toBe("saved_password");
    expect(bridge.output()).toContain('"plane":"metadata"');
    expect(bridge.output()).not.toContain("fN7xvQ2p");
  });
}

scene("CloudStack's own router sees the guest, and nothing else of it", async (scene) => {
  const { web, db, nobody } = scene;
  await using upstream = await startUpstream(scene, "vr");
  await using bridge = await startBridge(scene, "bun");
  const lies = [
    ...["X-Forwarded-For: 10.1.1.58", "Forwarded: for=10.1.1.58", "X-Real-IP: 10.1.1.58"],
    ...[
      "Host: 10.1.1.58",
      "Via: 1.1 guest",
      "Cookie: secret-of-a-guest",
      "Connection: close, Host",
    ],
    ...["Authorization: secret-of-a-guest", "Accept-Encoding: gzip", 'If-None-Match: "kept"'],
  ].flatMap((line) => ["-H", line]);
  const hostname = "/latest/meta-data/local-hostname";
  expect(await metadata(web, hostname, ...lies)).toEqual({ status: 200, body: "web-01" });
  expect(await metadata(db, hostname, ...lies)).toEqual({ status: 200, body: "db-01" });
  const heard = JSON.parse(/^{.*"from":"10.1.1.57".*$/m.exec(upstream.output())?.[0] ?? "{}");
  expect(heard).toEqual({
    ...{ from: WEB.address, path: hostname, method: "GET" },
    headers: { host: "10.1.1.1:18680", connection: "close", "if-none-match": '"kept"' },
  });
  const large = await metadata(web, "/latest/user-data");
  expect([large.status, large.body.length, large.body.endsWith("web-01")]).toEqual([
    ...[200, (1 << 20) + 6, true],
  ]);
  const head = await web.run(["curl", "-gsI", `http://[fd00:5a::1]${hostname}`]);
  expect(head.stdout.toString()).toMatch(/^content-length: 6\r$/im);
  expect(head.stdout.toString()).toMatch(/^etag: "12-660e5de7b930f;660e5de723dda\r$/im);
  expect(head.stdout.toString()).not.toMatch(/apache|cookie/i);
  // Neither a page about an error, nor a way to anything but metadata.
  expect(await metadata(web, "/latest/meta-data/missing")).toEqual({ status: 404, body: "" });
  const before = upstream.output();
  for (const path of [
    "/metadata/10.1.1.58/local-hostname",
    "/userdata/10.1.1.58/user-data",
    "/x",
  ]) {
    expect(await metadata(web, path)).toEqual({ status: 404, body: "" });
  }
  expect(await metadata(web, hostname, "-d", "x=1")).toEqual({ status: 405, body: "" });
  expect(await metadata(nobody, hostname)).toEqual({ status: 404, body: "" });
  expect(await metadata(web, hostname, "--path-as-is", "-X", "PUT")).toMatchObject({ status: 405 });
  expect((await password(nobody, "send_my_password")).body).toBe("saved_password");
  expect((await password(web, "secret-of-a-guest")).body).toBe("bad_request");
  const save = ["-d", "ip=10.1.1.58", "-d", "password=x", "-d", "token=y"];
  expect(await password(web, "save_password", ...save)).toEqual({ status: 200, body: "" });
  expect(upstream.output()).toBe(before);
  expect((await password(web, "send_my_password")).body).toBe("fN7xvQ2p");
  expect((await password(db, "send_my_password")).body).toBe("saved_password");
  expect((await password(db, "saved_password")).body).toBe("saved_password");
  expect((await password(web, "send_my_password")).body).toBe("fN7xvQ2p");
  expect((await password(web, "saved_password")).body).toBe("saved_password");
  expect((await password(web, "send_my_password")).body).toBe("saved_password");
  expect(bridge.output()).not.toMatch(/secret-of-a-guest|fN7xvQ2p|missing/);
});

scene("an address that passes to another guest is the other's at once", async (scene) => {
  const { web, db, leases } = scene;
  await using _upstream = await startUpstream(scene, "vr");
  await using _bridge = await startBridge(scene, "bun");
  const path = "/latest/meta-data/local-ipv4";
  expect((await metadata(web, path)).body).toBe(WEB.address);
  expect((await metadata(db, path)).body).toBe(DB.address);
  const text = readFileSync(leases, "utf8");
  writeFileSync(leases, text.replaceAll(WEB.mac, "02:aa:aa:aa:aa:aa").replaceAll(DB.mac, WEB.mac));
  expect((await metadata(web, path)).body).toBe(DB.address);
  expect(await metadata(db, path)).toEqual({ status: 404, body: "" });
  // Half a file leaves what was known.
  writeFileSync(leases, text.slice(0, 100));
  expect((await metadata(web, path)).body).toBe(DB.address);
  writeFileSync(leases, text);
  expect((await metadata(web, path)).body).toBe(WEB.address);
});

scene("who claims another's IPv6 address is nobody for a while", async (scene) => {
  const { web, db } = scene;
  await using _upstream = await startUpstream(scene, "vr");
  await using _bridge = await startBridge(scene, "bun");
  const path = "/latest/meta-data/local-hostname";
  const victim = "fd00:5a::10";
  expect((await metadata(web, path, "--interface", victim)).body).toBe("web-01");
  await ip(db, `-6 address add ${victim}/64 dev eth0 nodad`);
  const heard = new Set<string>();
  for (let i = 0; i < 20; i++) {
    await ok(db.command(["python3", SPOOF, "na", victim, DB.mac]));
    const seen = await metadata(db, path, "--interface", victim, "-m", "1");
    heard.add(seen.body);
  }
  expect([...heard]).toEqual([""]);
  // Its own address is what it was.
  await ip(db, `-6 address del ${victim}/64 dev eth0`);
  expect((await metadata(db, path)).body).toBe("db-01");
});

scene("ten thousand addresses of one guest are one guest", async (scene) => {
  const { router, web, db } = scene;
  await using upstream = await startUpstream(scene, "vr that forgets web-01");
  await using _bridge = await startBridge(scene, "bun");
  const address = (i: number): string => `fd00:5a::1:${i.toString(16)}`;
  const lines = (count: number, line: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => `${line(i)}\n`).join("");
  const known = lines(10_000, (i) => {
    return `neigh replace ${address(i)} lladdr ${WEB.mac} dev eth0 nud permanent`;
  });
  await ok(router.command(["ip", "-batch", "-"]), { input: known });
  const used = lines(200, (i) => `address add ${address(i * 50)}/64 dev eth0 nodad`);
  await ok(web.command(["ip", "-batch", "-"]), { input: used });
  // What is let through is never answered, so it stays under way.
  await using flood = web.start(["python3", FLOOD, "fd00:5a::1", "50", "50"]);
  await flood.says(/sent/);
  const path = "/latest/meta-data/local-hostname";
  expect(await metadata(db, path)).toEqual({ status: 200, body: "db-01" });
  await flood.says(/answered/);
  const statuses = JSON.parse(/answered (.*)/.exec(flood.output())?.[1] ?? "{}");
  // Eight wait for the upstream in vain; others are told to come again, or that they are nobody,
  // where the kernel's row was pushed out by another address of theirs.
  expect(Object.keys(statuses).every((status) => /^(404|503|504)$/.test(status))).toBe(true);
  expect([statuses[503] > 0, statuses[504] <= 8]).toEqual([true, true]);
  const letThrough = count(upstream.output(), /"from":"10.1.1.57"/g);
  expect([letThrough > 0, letThrough <= 8]).toEqual([true, true]);
  const map = ["list", "map", "ip", "frontdesk_bridge", "guests"];
  expect(count(await ok(router.command(["nft", ...map])), /10\.1\.1\.57/g)).toBe(1);
  // An address that was pushed out of the memory is looked up again.
  expect(await metadata(web, "/latest/meta-data/local-ipv4", "--interface", address(50))).toEqual({
    ...{ status: 200, body: WEB.address },
  });
});

scene("a guest has so many connections at most, and the others their own", async (scene) => {
  const { router, web, db } = scene;
  await using _upstream = await startUpstream(scene, "vr");
  await using _bridge = await startBridge(scene, "bun");
  const path = "/latest/meta-data/local-hostname";
  const addresses = (await addressesOf(web)).filter((address) => !address.startsWith("fe80:"));
  expect(addresses.length).toBeGreaterThanOrEqual(3);
  {
    await using silent = web.start(["python3", SILENT, "fd00:5a::1", "80", "200", ...addresses]);
    await silent.says(/open \d+/);
    // The MAC address of all of them is one.
    expect(/open (\d+)/.exec(silent.output())?.[1]).toBe("64");
    expect(await metadata(db, path)).toEqual({ status: 200, body: "db-01" });
    expect((await metadata(web, path, "-m", "1")).status).toBe(0);
  }
  await until("its connections to be over", 5_000, async () => {
    return (await metadata(web, path, "-m", "1")).body === "web-01";
  });
  const rules = await ok(router.command(["nft", "list", "table", "ip6", "frontdesk_bridge"]));
  expect(rules).toMatch(/counter packets [1-9]/);
});

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}
