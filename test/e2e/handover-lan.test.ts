/**
 * An address that passes to a guest with a NIC of its own, where MAC addresses are enforced: the
 * real router and the kernel, in namespaces.
 *
 * Both guests have the address and ask without a pause; with the firewall both are there all the
 * while. Each gets only what is its own, and nothing that it asked for after the lease of the next
 * one was visible.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, writeDatabags } from "./databags.ts";
import { ip, spoof } from "./firewall.ts";
import { labMissing, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { type Program, until } from "./program.ts";
import { RIMS, type Router, startRouter } from "./router.ts";

const ADDRESS = "10.1.1.11";
const MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;
const ROUNDS = 10;
/** A connection whose first packet was dropped is tried again soon. */
const SEEN_MS_MAX = 15_000;
const TEST_MS_MAX = 120_000;
const ASKER = join(import.meta.dirname, "handover-asker.ts");
const KINDS = ["/latest/instance-id", "/latest/user-data", "/"];

const lacking = labMissing(["nft", "python3"]);

for (const rim of RIMS) {
  for (const manage of [true, false]) {
    const by = manage ? "with its firewall" : "by itself";
    test.skipIf(lacking !== undefined)(
      `an address passes to another NIC ${ROUNDS} times, and the router ${by} lets nobody see what is not its own, on the ${rim} rim`,
      async () => {
        const guests = MACS.map((mac) => ({ mac, address: ADDRESS }));
        await using lab = await openLab({ guests });
        const databags = join(lab.folder, "cloudstack");
        const instances = { [ADDRESS]: metadataOf(0) };
        writeDatabags(databags, { router: ROUTER_ADDRESS, prefix: 24, instances });
        const config = join(lab.folder, "frontdesk.yaml");
        const limits = manage ? ", guests: {maxConnections: 1000, newPerSecond: 1000}" : "";
        writeFileSync(
          config,
          `networks: [{id: eth0, cidrs: [10.1.1.0/24], macEvidence: enforce${limits}}]\n` +
            `firewall: {manage: ${manage}}\n`,
        );
        await using router = await startRouter({
          ...{ rim, source: `databag:${databags}`, stateDir: join(lab.folder, "state") },
          ...{ listen: [`${ROUTER_ADDRESS}:80`], passwordListen: [`${ROUTER_ADDRESS}:8080`] },
          ...{ place: lab.router, more: ["--config", config] },
        });
        const places = lab.guests as [Place, Place];
        if (!manage) await ip(places[1], "link set eth0 down");
        const argv = [process.execPath, ASKER, ROUTER_ADDRESS, ADDRESS];
        const asking = places.map((place) => place.start(argv));
        await sees(asking[0] as Program, 0, KINDS.slice(0, 2));
        const gone: number[] = [];
        for (let n = 1; n <= ROUNDS; n++) {
          // Without permanent neighbours the kernel believes who speaks last, so there is one at a
          // time, as in CloudStack: an instance ends, the commands come, the next one starts.
          const next = places[n % 2] as Place;
          if (!manage) await ip(places[(n + 1) % 2] as Place, "link set eth0 down");
          gone[n - 1] = await handOver(router, n);
          if (!manage) await plugIn(next, n);
          await sees(asking[n % 2] as Program, n, KINDS);
        }
        for (const program of asking) await program[Symbol.asyncDispose]();
        for (const [guest, program] of asking.entries()) {
          const answers = answersOf(program);
          expect(answers.length).toBeGreaterThan(ROUNDS);
          const wrong = answers.filter(({ sentAt, of }) => {
            const [first = -1, ...more] = of;
            return more.length > 0 || first % 2 !== guest || sentAt > (gone[first] ?? Infinity);
          });
          expect({ guest, wrong: wrong.slice(0, 5) }).toEqual({ guest, wrong: [] });
        }
      },
      TEST_MS_MAX,
    );
  }
}

/** @returns when the new lease was visible, ms since 1970. */
async function handOver(router: Router, n: number): Promise<number> {
  const apply = async (name: string, command: object): Promise<void> => {
    const reply = await router.post(`/apply?name=${name}.json`, JSON.stringify(command));
    expect(reply).toMatchObject({ status: 200 });
  };
  await apply("vm_dhcp_entry", {
    ...{ host_name: `vm-${n}`, mac_address: MACS[n % 2], ipv4_address: ADDRESS },
    ...{ default_gateway: ROUTER_ADDRESS, default_entry: true, remove: false, type: "dhcpentry" },
  });
  const visibleAt = Date.now();
  const password = `of-${n}-password`;
  await apply("vm_password", { ip_address: ADDRESS, password, type: "vmpassword" });
  const vm_metadata = metadataOf(n);
  await apply("vm_metadata", { vm_ip_address: ADDRESS, vm_metadata, type: "vmdata" });
  return visibleAt;
}

/** A guest that begins says that it is there, as a DHCP client does. */
async function plugIn(guest: Place, n: number): Promise<void> {
  await ip(guest, "link set eth0 up");
  await spoof(guest, "arp", ADDRESS, MACS[n % 2] ?? "");
}

function metadataOf(n: number): readonly Entry[] {
  return [
    ["userdata", "user-data", Buffer.from(`of-${n}-user-data\n`).toString("base64")],
    ["metadata", "instance-id", `of-${n}-id`],
  ];
}

interface Answer {
  readonly sentAt: number;
  readonly path: string;
  readonly of: readonly number[];
}

function answersOf(program: Program): Answer[] {
  return [...program.output().matchAll(/^(\d+) (\S+) ([\d,]+)$/gm)].map(
    ([, sentAt, path = "", of = ""]) => ({
      ...{ sentAt: Number(sentAt), path, of: of.split(",").map(Number) },
    }),
  );
}

/** Waits until a guest has got each kind of what an instance has. */
async function sees(program: Program, n: number, kinds: readonly string[]): Promise<void> {
  await until(`the guest to see instance ${n}`, SEEN_MS_MAX, () => {
    const answers = answersOf(program);
    return kinds.every((kind) => answers.some(({ path, of }) => path === kind && of[0] === n));
  }).catch((error: Error) => {
    throw new Error(`${error.message}\n${program.output().slice(-500)}`);
  });
}
