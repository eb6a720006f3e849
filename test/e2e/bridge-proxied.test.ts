/**
 * The bridge's second way: IPv6-only guests on one machine, our router on another that they cannot
 * reach, and between them a PROXY header of version 2.
 */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  addressesOf,
  type BridgeLab,
  DB,
  FIXTURE,
  get,
  ip,
  LINK_LOCAL,
  metadata,
  openBridgeLab,
  password,
  WEB,
} from "./bridge-lab.ts";
import { labMissing, type Place } from "./lab.ts";
import { onEnd, removeNamespace, uniqueName } from "./leftovers.ts";
import { ok, type Program, run, start, until } from "./program.ts";
import { frontdesk, RIMS, type Rim, type Router, startRouter } from "./router.ts";

const lacking = labMissing(["nft", "curl", "sysctl", "python3"]);
const TEST_MS_MAX = 60_000;
const PREFACE = join(import.meta.dirname, "bridge-preface.py");
/** The cable between the two machines. */
const BRIDGE = "10.9.0.1";
const DESK = "10.9.0.2";
const METADATA = `${DESK}:18550`;
const PASSWORD = `${DESK}:18551`;
/** Where the router's own guests would ask it. */
const DIRECT = 18552;
const DIRECT_PASSWORD = 18553;
const HOSTNAME = "/latest/meta-data/local-hostname";
/** As much as CloudStack takes. */
const LARGE = randomBytes(1 << 20);

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `IPv6-only guests are served by a router on another machine, on the ${rim} rim`,
    async () => {
      await using scene = await openBridgeLab();
      await using desk = await openDesk(scene, rim);
      await using bridge = await startBridge(scene, rim);
      await isServed(scene);
      await hasPassword(scene, desk.router);
      await isExplained(desk.router);
      await liesAreVain(scene, desk);
      expect(bridge.output()).not.toContain("fN7xvQ2p");
      await isReported(scene);
    },
    TEST_MS_MAX,
  );
}

/** Metadata and user data, from privacy and link-local addresses too, each guest its own. */
async function isServed({ web, db, nobody }: BridgeLab): Promise<void> {
  for (const [guest, name, ipv4] of [
    [web, "web-01", WEB.address],
    [db, "db-01", DB.address],
  ] as const) {
    const addresses = await addressesOf(guest);
    expect(addresses.length).toBeGreaterThanOrEqual(4);
    for (const from of addresses) {
      const local = from.startsWith("fe80:");
      const at = local
        ? `${LINK_LOCAL}%25eth0`
        : from.startsWith("fd")
          ? "fd00:5a::1"
          : "2001:db8:5a::1";
      const by = local ? "eth0" : from;
      const seen = await get(guest, `http://[${at}]${HOSTNAME}`, "--interface", by);
      expect([from, seen]).toEqual([from, { status: 200, body: name }]);
    }
    const own = await metadata(guest, "/latest/meta-data/local-ipv4");
    expect(own).toEqual({ status: 200, body: ipv4 });
  }
  const { stdout } = await web.run(["curl", "-gsf", "http://[fd00:5a::1]/latest/user-data"]);
  expect([stdout.length, digest(stdout)]).toEqual([LARGE.length, digest(LARGE)]);
  expect(await metadata(nobody, HOSTNAME)).toEqual({ status: 404, body: "" });
}

async function hasPassword({ web, db }: BridgeLab, router: Router): Promise<void> {
  expect((await router.admin("/metrics")).body).toContain("passwords_pending 1\n");
  expect((await password(db, "send_my_password")).body).toBe("saved_password");
  expect((await password(db, "saved_password")).body).toBe("saved_password");
  for (let i = 0; i < 2; i++) {
    expect(await password(web, "send_my_password")).toEqual({ status: 200, body: "fN7xvQ2p" });
  }
  expect((await password(web, "saved_password")).body).toBe("saved_password");
  expect((await password(web, "send_my_password")).body).toBe("saved_password");
  expect((await router.admin("/metrics")).body).toContain("passwords_pending 0\n");
}

async function isExplained({ admin, program }: Router): Promise<void> {
  const why = JSON.parse((await admin(`/why?ip=${WEB.address}&path=${HOSTNAME}`)).body);
  expect([why.identity, why.reply.status, why.evidence.kernel]).toEqual([
    ...[
      "bound",
      200,
      `it asks through the bridge at ${BRIDGE}, which has compared its MAC address`,
    ],
  ]);
  // Who asks by no bridge is known by the kernel, which has seen nobody there.
  const other = JSON.parse((await admin("/why?ip=10.1.1.200")).body);
  expect(JSON.stringify(other)).not.toContain("bridge");
  const metrics = (await admin("/metrics")).body;
  expect(metrics).toContain("mac_mismatches_total 0\n");
  expect((await admin("/conditions")).body).not.toContain("MAC_MISMATCH");
  await until("the access log to name the bridge", 5_000, () =>
    program.output().includes(`"metadata","address":"${WEB.address}","via":"${BRIDGE}","network":`),
  );
  expect(program.output()).not.toContain("fN7xvQ2p");
}

/** Who says in a header of its own that it is another gets nothing of the other's. */
async function liesAreVain({ router: machine, web, db }: BridgeLab, desk: Desk): Promise<void> {
  const lie = async (place: Place, host: string, port: number, version: string, ask: string) =>
    (await place.run(["python3", PREFACE, host, `${port}`, version, WEB.address, ask])).stdout;
  const asks = [`GET ${HOSTNAME} HTTP/1.1`, "GET / HTTP/1.1\\r\\nDomU_Request: send_my_password"];
  // A password that waits, which a lie might take.
  await offer(desk.router, "taken-by-a-liar");
  for (const [index, ask] of asks.entries()) {
    for (const version of ["1", "2", "middle"]) {
      const port = index === 0 ? 80 : 8080;
      const text = (await lie(db, "fd00:5a::1", port, version, ask)).toString();
      expect([version, ask, text.match(/web-01|taken/)]).toEqual([version, ask, null]);
      expect(text).toMatch(version === "middle" ? /db-01|saved_password/ : /^(HTTP\/1.1 400|$)/);
      // The router's own listener believes nobody, not even the bridge.
      const own = (
        await lie(machine, DESK, index === 0 ? DIRECT : DIRECT_PASSWORD, version, ask)
      ).toString();
      expect([version, ask, own.match(/web-01|taken/)]).toEqual([version, ask, null]);
    }
  }
  // Straight to the listener for bridges, by IPv4: closed without a byte.
  await ip(db, `address add ${DB.address}/24 dev eth0`);
  await ip(db, "route add default via 10.1.1.1");
  for (const ask of asks) {
    for (const at of [METADATA, PASSWORD]) {
      const [host = "", port] = at.split(":");
      expect((await lie(db, host, Number(port), "2", ask)).toString()).toBe("");
    }
  }
  // The way is there: it is the listener that refuses.
  const direct = await get(db, `http://${DESK}:${DIRECT}${HOSTNAME}`);
  expect(direct.status).toBe(404);
  const { body } = await desk.router.admin("/conditions");
  expect(body).toContain(`${DB.address} is not trusted`);
  expect((await desk.router.admin("/metrics")).body).toContain(
    'proxied_refused_total{reason="untrusted"} 4\n',
  );
  // The bridge's machine itself, without a header.
  const bare = await machine.run(["curl", "-sm", "3", `http://${METADATA}${HOSTNAME}`]);
  expect([bare.code === 0, bare.stdout.toString()]).toEqual([false, ""]);
  expect((await password(web, "send_my_password")).body).toBe("taken-by-a-liar");
  expect(await metadata(web, HOSTNAME)).toEqual({ status: 200, body: "web-01" });
}

interface Desk extends AsyncDisposable {
  readonly router: Router;
}

/** Another machine on a cable to the bridge's, with our router, which compares MAC addresses. */
async function openDesk({ lab, router: machine }: BridgeLab, rim: Rim): Promise<Desk> {
  const name = uniqueName("desk");
  onEnd(() => removeNamespace(name));
  for (const words of [
    `netns add ${name}`,
    `-n ${name} link set lo up`,
    `-n ${machine.name} link add desk0 type veth peer name eth0 netns ${name}`,
    `-n ${machine.name} address add ${BRIDGE}/24 dev desk0`,
    `-n ${machine.name} link set desk0 up`,
    `-n ${name} address add ${DESK}/24 dev eth0`,
    `-n ${name} link set eth0 up`,
    `-n ${name} route add default via ${BRIDGE}`,
  ]) {
    const done = spawnSync("ip", words.split(" "), { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`ip ${words}: ${done.stderr}`);
  }
  await ok(machine.command(["sysctl", "-qw", "net.ipv4.ip_forward=1"]));
  const command = (argv: readonly string[]) => ["ip", "netns", "exec", name, ...argv];
  const place: Place = {
    ...{ name, command },
    run: (argv, options) => run(command(argv), options),
    start: (argv, options) => start(command(argv), options),
  };
  const folder = join(lab.folder, "cloudstack");
  cpSync(FIXTURE, folder, { recursive: true });
  const bag = join(folder, "vmdata.json");
  const data = JSON.parse(readFileSync(bag, "utf8")) as Record<string, string[][]>;
  data[WEB.address] = [
    ...(data[WEB.address] ?? []).filter(([kind]) => kind !== "userdata"),
    ["userdata", "user-data", LARGE.toString("base64")],
  ];
  writeFileSync(bag, JSON.stringify(data));
  const config = join(lab.folder, "frontdesk.yaml");
  const listen = `listen: ["${METADATA}"], passwordListen: ["${PASSWORD}"]`;
  writeFileSync(
    config,
    `networks: [{id: eth0, cidrs: [10.1.1.0/24], macEvidence: enforce}]
proxied: [{${listen}, trusted: [${BRIDGE}]}]
`,
  );
  const router = await startRouter({
    ...{ rim, place, source: `databag:${folder}`, stateDir: join(lab.folder, "desk") },
    listen: [`${DESK}:${DIRECT}`],
    passwordListen: [`${DESK}:${DIRECT_PASSWORD}`],
    more: ["--config", config],
  });
  return { router, [Symbol.asyncDispose]: () => router[Symbol.asyncDispose]() };
}

const adminOf = ({ lab }: BridgeLab): string => join(lab.folder, "bridge.sock");

/** What the bridge tells its operator: it is well until a lease file cannot be read. */
async function isReported(scene: BridgeLab): Promise<void> {
  const ask = async (path: string) => {
    const args = ["curl", "-sm", "5", "--unix-socket", adminOf(scene), `http://x${path}`];
    return (await run(args)).stdout.toString();
  };
  expect(await ask("/livez")).toBe("ok\n");
  expect(await ask("/readyz")).toBe('{"ready":true,"troubles":[]}\n');
  const metrics = await ask("/metrics");
  expect(metrics).toMatch(/bridge_requests_total{plane="metadata",what="key",status="200"} [1-9]/);
  expect(metrics).toContain('bridge_leases{state="known"} 2\n');
  expect(metrics).not.toContain("frontdesk_router_");
  writeFileSync(scene.leases, "{");
  expect(await metadata(scene.web, HOSTNAME)).toEqual({ status: 200, body: "web-01" });
  expect(await ask("/readyz")).toMatch(/"ready":false.*is no JSON/);
}

async function startBridge(scene: BridgeLab, rim: Rim): Promise<Program> {
  const listen = ["fd00:5a::1", "2001:db8:5a::1", `${LINK_LOCAL}%eth0`].flatMap((host) => [
    ...["--listen", `[${host}]:80`, "--password-listen", `[${host}]:8080`],
  ]);
  const upstream = ["--upstream", METADATA, "--password-upstream", PASSWORD, "--proxy-protocol"];
  const admin = ["--admin-listen", `unix:${adminOf(scene)}`];
  const args = ["bridge", "--device", "eth0", ...listen, ...upstream, "--leases", scene.leases];
  args.push(...admin);
  const { argv, env } = frontdesk(rim, args);
  const program = scene.router.start(argv, { env });
  await program.says(/bridge started/);
  return program;
}

/** CloudStack gives web-01 another password. */
async function offer(router: Router, text: string): Promise<void> {
  const command = { ip_address: WEB.address, password: text, type: "vmpassword" };
  const reply = await router.post("/apply?name=vm_password.json", JSON.stringify(command));
  expect([reply.status, reply.body]).toEqual([200, '{"applied":1}\n']);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
