/**
 * One bridge for the guests of two networks: each is known on its own device only, whatever
 * addresses the others have.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import {
  type BridgeLab,
  get,
  ip,
  LINK_LOCAL,
  metadata,
  openBridgeLab,
  startUpstream,
  WEB,
} from "./bridge-lab.ts";
import { labMissing, ROUTER_ADDRESS } from "./lab.ts";
import { until } from "./program.ts";
import { frontdesk, RIMS, type Rim } from "./router.ts";

const lacking = labMissing(["nft", "curl", "sysctl"]);
const TEST_MS_MAX = 60_000;
const PATH = "/latest/meta-data/local-hostname";
/** The guest that `openBridgeLab` gives no lease, on a network of its own. */
const OTHER = { mac: "02:00:00:00:00:99", address: "10.1.2.50", six: "fd00:5b::12" };
/** The one link-local address of both. */
const SHARED = "fe80::57";

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `guests of two networks get what is their own, on the ${rim} rim`,
    async () => {
      await using scene = await openBridgeLab();
      await addNetwork(scene);
      await using _upstream = await startUpstream(scene, "proxy");
      await using bridge = await startBridge(scene, rim);
      const { web, nobody: other } = scene;
      const own = { status: 200, body: WEB.address };
      const others = { status: 200, body: OTHER.address };
      const there = `http://[fd00:5b::1]${PATH}`;
      expect(await metadata(web, PATH)).toEqual(own);
      expect(await get(other, there)).toEqual(others);
      const link = `http://[${LINK_LOCAL}%25eth0]${PATH}`;
      for (const guest of [web, other]) {
        await ip(guest, "-6 address flush dev eth0 scope link");
        await ip(guest, `address add ${SHARED}/64 dev eth0 nodad`);
      }
      for (let i = 0; i < 3; i++) {
        expect(await get(web, link)).toEqual(own);
        expect(await get(other, link)).toEqual(others);
      }
      expect(bridge.output()).toContain(`"address":"${SHARED}`);
      expect(bridge.output()).toContain(`"network":"eth1","instance":"${OTHER.address}"`);

      // Another's address on the wrong network: no answer, and the owner is served all the same.
      const victim = "fd00:5a::10";
      await ip(other, `address add ${victim}/128 dev eth0 nodad`);
      expect((await get(other, there, "--interface", victim, "-m", "2")).body).toBe("");
      expect(await metadata(web, PATH, "--interface", victim)).toEqual(own);
      await ip(other, `address del ${victim}/128 dev eth0`);

      // Another's MAC address on the wrong network is nobody's.
      await ip(other, `link set eth0 address ${WEB.mac}`);
      await until("the kernel to know of it", 5_000, async () => {
        const seen = await get(other, there);
        expect(seen.body).not.toBe(own.body);
        return seen.status === 404;
      });
      expect(await metadata(web, PATH)).toEqual(own);
    },
    TEST_MS_MAX,
  );
}

/** Moves the third guest to a network of its own. */
async function addNetwork({ lab, router, nobody, leases }: BridgeLab): Promise<void> {
  const port = `port${lab.guests.indexOf(nobody)}`;
  for (const words of [
    "link add eth1 type bridge",
    "address add 10.1.2.1/24 dev eth1",
    `link set ${port} nomaster`,
    `link set ${port} master eth1`,
    "link set eth1 up",
    "address add fd00:5b::1/64 dev eth1 nodad",
    `address add ${LINK_LOCAL}/64 dev eth1 nodad`,
  ]) {
    await ip(router, words);
  }
  await ip(nobody, "-6 address flush dev eth0 scope global");
  await ip(nobody, `address add ${OTHER.six}/64 dev eth0 nodad`);
  await ip(nobody, "-6 route replace default via fd00:5b::1 dev eth0");
  const entries = JSON.parse(readFileSync(leases, "utf8"));
  const lease = { ...entries[WEB.address], mac_address: OTHER.mac, ipv4_address: OTHER.address };
  writeFileSync(leases, JSON.stringify({ ...entries, [OTHER.address]: lease }));
}

async function startBridge(scene: BridgeLab, rim: Rim) {
  const hosts = ["fd00:5a::1", "fd00:5b::1", `${LINK_LOCAL}%eth0`, `${LINK_LOCAL}%eth1`];
  const { argv, env } = frontdesk(rim, [
    ...["bridge", "--device", "eth0", "--device", "eth1", "--leases", scene.leases],
    ...hosts.flatMap((host) => ["--listen", `[${host}]:80`]),
    ...["--upstream", `${ROUTER_ADDRESS}:18680`, "--proxy-protocol"],
  ]);
  const program = scene.router.start(argv, { env });
  await program.says(/bridge started/);
  return program;
}
