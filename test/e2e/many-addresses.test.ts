/**
 * A guest that takes ten thousand IPv6 addresses: the real router and the kernel's neighbour table,
 * in namespaces.
 *
 * Goal: they are all the one guest, they fill nothing in the router, and another guest is answered
 * meanwhile. Method: the kernel is told of ten thousand neighbours with the guest's MAC address,
 * and of ten thousand more; from a thousand of these addresses the guest asks. The other guest
 * asks all the while.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Crowd } from "./crowd.ts";
import { writeDatabags } from "./databags.ts";
import { asks, ip } from "./firewall.ts";
import { labMissing, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { ok, until } from "./program.ts";
import { RIMS, type Router, startRouter } from "./router.ts";

const OTHER = "10.1.1.11";
const CROWD = "10.1.1.12";
const CROWD_MAC = "02:00:00:00:00:02";
const ROUTER6 = "fd00:5a::1";
/** The begin of the addresses that the guest takes, and the range of them all. */
const TAKEN = "fd00:5a::1:";
const TAKEN_RANGE = "fd00:5a::1:0/112";
const ADDRESSES = 10_000;
/** Of these it asks: none is in the router's memory, which keeps the 64 that came last. */
const ASKED = 1_000;
const AT_A_TIME = 32;
/** Nearly all of it is what the runtime has not collected yet: ten such floods need no more. */
const GROWTH_MIB_MAX = 64;
/** The other guest's; the longest wait is judged generously, because the machine is not ours. */
const WAIT_MS_MAX = 1_000;
const TEST_MS_MAX = 60_000;
const PATH = "/latest/meta-data/instance-id";
const CLIENT = join(import.meta.dirname, "crowd.ts");

const lacking = labMissing(["curl", "sysctl"]);

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `ten thousand addresses of one guest fill nothing and slow nobody, on the ${rim} rim`,
    async () => {
      await using lab = await openLab({
        guests: [
          { mac: "02:00:00:00:00:01", address: OTHER },
          { mac: CROWD_MAC, address: CROWD },
        ],
      });
      const [other, crowd] = lab.guests as [Place, Place];
      await ip(lab.router, `-6 address add ${ROUTER6}/64 dev eth0 nodad`);
      await ip(crowd, "-6 address add fd00:5a::12/64 dev eth0 nodad");
      // The whole range is the guest's own, without an entry for each address.
      await ok(crowd.command(["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"]));
      await ip(crowd, `-6 route add local ${TAKEN_RANGE} dev lo`);
      await using router = await open(rim, lab.folder, lab.router);
      const six = `http://[${ROUTER6}]${PATH}`;
      expect(await asks(other, `http://${ROUTER_ADDRESS}${PATH}`)).toBe("i-other");
      expect(await asks(crowd, six)).toBe("i-crowd");
      await play(other, [`http://${ROUTER_ADDRESS}${PATH}`, "500", "8", "0", OTHER]);
      const before = await residentMiB(router);

      const url = `http://${ROUTER_ADDRESS}${PATH}`;
      const asking = play(other, [url, "600", "1", "5", OTHER]);
      for (const range of [TAKEN, "fd00:5a::2:"]) await take(lab.router, range);
      const crowded = await play(crowd, [six, String(ASKED), String(AT_A_TIME), "0", TAKEN]);
      expect(crowded.answers).toEqual({ "i-crowd": ASKED });
      const { answers, longestMs } = await asking;
      expect(answers).toEqual({ "i-other": 600 });
      expect(longestMs).toBeLessThan(WAIT_MS_MAX);
      // The router was told of all of them, or it would prove nothing.
      const shown = await ok(lab.router.command(["ip", "-6", "neigh", "show", "dev", "eth0"]));
      expect(shown.split(TAKEN).length).toBeGreaterThan(ADDRESSES);
      const grown = (await residentMiB(router)) - before;
      expect(grown).toBeLessThan(GROWTH_MIB_MAX);
      expect((await router.admin("/conditions")).body).not.toContain("NEIGHBOURS_UNREADABLE");
    },
    TEST_MS_MAX,
  );
}

async function open(rim: (typeof RIMS)[number], folder: string, place: Place): Promise<Router> {
  const databags = join(folder, "cloudstack");
  const named = (name: string) => [["metadata", "instance-id", `i-${name}`]] as const;
  const instances = { [OTHER]: named("other"), [CROWD]: named("crowd") };
  writeDatabags(databags, { router: ROUTER_ADDRESS, prefix: 24, instances });
  const config = join(folder, "frontdesk.yaml");
  writeFileSync(config, `networks: [{id: eth0, cidrs: [10.1.1.0/24, "fd00:5a::/64"]}]\n`);
  return startRouter({
    ...{ rim, source: `databag:${databags}`, stateDir: join(folder, "state"), place },
    listen: [`${ROUTER_ADDRESS}:80`, `[${ROUTER6}]:80`],
    more: ["--config", config],
  });
}

/** The kernel learns all addresses, as it does when each has sent a packet. */
async function take(router: Place, range: string): Promise<void> {
  const rows = Array.from({ length: ADDRESSES }, (_, i) => {
    const at = `${range}${i.toString(16)} lladdr ${CROWD_MAC} dev eth0`;
    return `neigh replace ${at} nud permanent\n`;
  });
  await ok(router.command(["ip", "-batch", "-"]), { input: rows.join("") });
}

async function play(place: Place, words: readonly string[]): Promise<Crowd> {
  return JSON.parse(await ok(place.command([process.execPath, CLIENT, ...words])));
}

/** The least of some readings: what a collector is about to take is not counted. */
async function residentMiB(router: Router): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const end = Date.now() + 1_500;
  await until("the router to come to rest", 10_000, async () => {
    const { body } = await router.admin("/metrics");
    const bytes = Number(/^frontdesk_router_resident_memory_bytes (\S+)$/m.exec(body)?.[1]);
    least = Math.min(least, bytes / 2 ** 20);
    return Date.now() > end;
  });
  return least;
}
