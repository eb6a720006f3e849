/**
 * Tiers of a VPC come and go while guests ask: the real router follows the databags and this
 * machine's addresses, in namespaces.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { asks, gets, ip } from "./firewall.ts";
import { labMissing, openLab, type Place } from "./lab.ts";
import { until } from "./program.ts";
import { RIMS, startRouter } from "./router.ts";

const PATH = "/latest/meta-data/instance-id";
/** How often the tier goes and comes. */
const ROUNDS = 15;
const TEST_MS_MAX = 60_000;
/** Guests of three tiers; each tier is on a port of its own. */
const TIERS = [0, 1, 2].map((index) => ({
  device: `port${index}`,
  router: `10.20.${index}.1`,
  guest: `10.20.${index}.11`,
  mac: `02:00:00:00:00:0${index + 1}`,
}));
type Tier = (typeof TIERS)[number];

const lacking = labMissing(["curl"]);

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `a VPC loses a tier and gains it again under load, on the ${rim} rim`,
    async () => {
      await using lab = await openLab({ guests: TIERS.map(({ mac }) => ({ mac })) });
      await ip(lab.router, "address del 169.254.169.254/32 dev eth0");
      for (const [index, tier] of TIERS.entries()) {
        const guest = lab.guests[index] as Place;
        await ip(lab.router, `link set ${tier.device} nomaster`);
        await ip(lab.router, `address add ${tier.router}/24 dev ${tier.device}`);
        await ip(guest, `address add ${tier.guest}/24 dev eth0`);
        await ip(guest, `route add default via ${tier.router}`);
      }
      const folder = join(lab.folder, "cloudstack");
      await lab.router.run(["mkdir", folder]);
      const [first, second, third] = TIERS as [Tier, Tier, Tier];
      writeInstances(folder);
      writeTiers(folder, [first, second, third]);
      await using router = await startRouter({
        ...{ rim, source: `databag:${folder}`, listen: ["auto"], passwordListen: ["auto"] },
        ...{ stateDir: join(lab.folder, "state"), place: lab.router },
      });
      const [one, two] = lab.guests as [Place, Place];
      expect(await asks(two, `http://${second.router}${PATH}`)).toBe("i-port1");
      // The guest of one tier is not somebody else through another tier's address.
      expect(await asks(one, `http://${second.router}${PATH}`)).toBe("i-port0");

      const stop = new AbortController();
      const asked = keepAsking(one, `http://${first.router}${PATH}`, stop.signal);
      for (let i = 0; i < ROUNDS; i++) {
        writeTiers(folder, [first, third], [second]);
        await until("the tier to be gone", 5_000, async () => {
          return (await gets(two, `http://${second.router}${PATH}`)) === "";
        });
        writeTiers(folder, [first, second, third]);
        await until("the tier to be back", 5_000, async () => {
          return (await gets(two, `http://${second.router}${PATH}`)) === "i-port1";
        });
      }
      // One that has an address of EC2's kind answers there too, once it has it.
      await ip(lab.router, `address add 169.254.169.254/32 dev ${first.device}`);
      await until("169.254.169.254 to answer", 10_000, async () => {
        return (await gets(one, `http://169.254.169.254${PATH}`)) === "i-port0";
      });
      stop.abort();
      const answers = await asked;
      expect(answers.length).toBeGreaterThan(ROUNDS);
      expect(new Set(answers)).toEqual(new Set(["i-port0"]));
      const status = JSON.parse((await router.admin("/status")).body);
      expect(status.networks.length).toBe(3);
    },
    TEST_MS_MAX,
  );
}

async function keepAsking(place: Place, url: string, signal: AbortSignal): Promise<string[]> {
  const answers: string[] = [];
  while (!signal.aborted) answers.push(await gets(place, url));
  return answers;
}

function writeInstances(folder: string): void {
  const each = <T>(make: (tier: Tier) => T) =>
    Object.fromEntries(TIERS.map((tier) => [tier.guest, make(tier)]));
  write(
    folder,
    "vmdata",
    each(({ device }) => [["metadata", "instance-id", `i-${device}`]]),
  );
  write(
    folder,
    "dhcpentry",
    each(({ guest, router, mac }) => ({
      ...{ host_name: "h", mac_address: mac, ipv4_address: guest, default_gateway: router },
      ...{ default_entry: true, remove: false, type: "dhcpentry" },
    })),
  );
  write(folder, "cmdline", {
    config: { type: "vpcrouter", name: "r-1-VM", domain: "cs.internal" },
  });
}

/** CloudStack marks a tier that it takes back. */
function writeTiers(folder: string, there: readonly Tier[], gone: readonly Tier[] = []): void {
  const tier = ({ device, router }: Tier, add: boolean) => [
    device,
    [
      {
        ...{ add, device, public_ip: router, cidr: `${router}/24`, size: "24", nw_type: "guest" },
        network: router.replace(/1$/, "0/24"),
      },
    ],
  ];
  const all = [...there.map((each) => tier(each, true)), ...gone.map((each) => tier(each, false))];
  write(folder, "ips", Object.fromEntries(all));
}

function write(folder: string, id: string, content: object): void {
  writeFileSync(join(folder, `${id}.json`), JSON.stringify({ ...content, id }));
}
