/**
 * Who is answered when guests lie about their address, and when they have addresses that no source
 * knows: the real router, the kernel's neighbour table and nftables, in namespaces.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeDatabags } from "./databags.ts";
import { asks, gets, ip, spoof } from "./firewall.ts";
import { type Lab, labMissing, openLab, type Place } from "./lab.ts";
import { ok, until } from "./program.ts";
import { RIMS, type Rim, type Router, startRouter } from "./router.ts";

/** The MAC addresses of the first leases that `writeDatabags` writes. */
const OWNER_MAC = "02:00:00:00:00:01";
const THIEF_MAC = "02:00:00:00:00:02";
const SIX_MAC = "02:00:00:00:00:03";
const OWNER = "10.1.1.11";
const THIEF = "10.1.1.12";
/** Of the guest that has no IPv4: the address of its lease, which it does not use. */
const SIX = "10.1.1.13";
const ROUTER = "10.1.1.1";
const ROUTER6 = "fd00:5a::1";
/** Where EC2's 169.254.169.254 would be on the link. */
const LINK_LOCAL = "fe80::a9fe:a9fe";
const PATH = "/latest/meta-data/instance-id";
const TEST_MS_MAX = 60_000;

const SNIFF = join(import.meta.dirname, "sniff.py");

const lacking = labMissing(["nft", "curl", "python3"]);

for (const rim of RIMS) {
  const identity = (
    macEvidence: string,
    name: string,
    body: (scene: Scene) => Promise<void>,
  ): void => {
    test.skipIf(lacking !== undefined)(
      `${macEvidence}: ${name}, on the ${rim} rim`,
      async () => {
        await using scene = await open(rim, macEvidence);
        await body(scene);
      },
      TEST_MS_MAX,
    );
  };

  identity(
    "enforce",
    "a guest with another's address gets nothing, and the owner is answered meanwhile",
    async ({ lab, owner, thief }) => {
      expect(await asks(owner, `http://${ROUTER}${PATH}`)).toBe("i-owner");
      expect(await asks(thief, `http://${ROUTER}${PATH}`)).toBe("i-thief");
      await ip(thief, `address add ${OWNER}/32 dev eth0`);
      const stop = new AbortController();
      const asked = keepAsking(owner, stop.signal);
      for (let i = 0; i < 3; i++) {
        await spoof(thief, "arp", OWNER, THIEF_MAC);
        expect(await gets(thief, `http://${ROUTER}${PATH}`, OWNER)).toBe("");
        expect(await gets(thief, `http://${ROUTER}:8080/`, OWNER)).toBe("");
      }
      stop.abort();
      const answers = await asked;
      expect(answers.length).toBeGreaterThan(10);
      expect(new Set(answers)).toEqual(new Set(["i-owner"]));
      await ip(thief, `address del ${OWNER}/32 dev eth0`);
      const rules = await ok(lab.router.command(["nft", "list", "table", "inet", "frontdesk"]));
      expect(rules).toMatch(/packets [1-9]\d* bytes \d+ drop comment "[^"]*wrong MAC address/);
    },
  );

  identity(
    "enforce",
    "a privacy address is its guest's once the firewall keeps it so, and nobody can take it",
    async ({ lab, six, thief }) => {
      const privacy = "fd00:5a::8d3f:1122:3344:5566";
      const asked = `http://[${ROUTER6}]${PATH}`;
      await ip(six, `-6 address add ${privacy}/64 dev eth0 nodad`);
      await isInForce(lab);
      await becomes("i-six", six, asked, privacy);
      await ip(thief, `-6 address add ${privacy}/64 dev eth0 nodad`);
      for (let i = 0; i < 3; i++) {
        await spoof(thief, "na", privacy, THIEF_MAC);
        expect(await gets(thief, asked, privacy)).toBe("");
        expect(await asks(six, asked, privacy)).toBe("i-six");
      }
      // So are a link-local address, where it is one, and a secondary IPv4 address.
      const linked = `http://[${LINK_LOCAL}%25eth0]${PATH}`;
      await becomes("i-six", six, linked);
      const own = /fe80::\S+(?=\/)/.exec(await ip(six, "-6 -o address show dev eth0"))?.[0] ?? "";
      await ip(thief, `-6 address add ${own}/64 dev eth0 nodad`);
      await spoof(thief, "na", own, THIEF_MAC);
      expect(await gets(thief, linked, own)).toBe("");
      expect(await asks(six, linked)).toBe("i-six");
      await ip(thief, "address add 10.1.1.77/32 dev eth0");
      await becomes("i-thief", thief, `http://${ROUTER}${PATH}`, "10.1.1.77");
      const kept = await ok(lab.router.command(["nft", "list", "table", "inet", "frontdesk"]));
      expect(kept).toContain(`"eth0" . 10.1.1.77 . ${THIEF_MAC}`);
    },
  );

  identity(
    "enforce",
    "who reads a silent guest's replies on the link gets none by an address said to be that guest's",
    async ({ lab, six, thief }) => {
      await isInForce(lab);
      await ip(six, "link set eth0 down"); // What is for it is flooded.
      const address = "fd00:5a::dead";
      const read = await ok(thief.command(["python3", SNIFF, address, ROUTER6, SIX_MAC, PATH]));
      const replies = read.trim().split("\n");
      expect(replies.length).toBe(5);
      // The attack works so far that replies are read: else this test would say nothing.
      expect(replies.join()).toContain("503");
      expect(replies.join()).not.toContain("200");
    },
  );

  identity(
    "enforce",
    "without the firewall's table, the router itself refuses",
    async ({ lab, owner, thief, router }) => {
      expect(await asks(owner, `http://${ROUTER}${PATH}`)).toBe("i-owner");
      // Done after this test's hand, it would undo it.
      await isInForce(lab);
      await ip(lab.router, `neigh flush dev eth0`);
      await lab.router.run(["nft", "delete", "table", "inet", "frontdesk"]);
      await lab.router.run(["ip", "neigh", "del", OWNER, "dev", "eth0"]);
      await ip(owner, "link set eth0 down");
      await ip(thief, `address add ${OWNER}/32 dev eth0`);
      await spoof(thief, "arp", OWNER, THIEF_MAC);
      await until("the mismatch to be named", 10_000, async () => {
        expect(await gets(thief, `http://${ROUTER}${PATH}`, OWNER)).toBe("");
        return (await router.admin("/conditions")).body.includes("MAC_MISMATCH");
      });
    },
  );

  identity(
    "audit",
    "a guest with another's address is answered, counted and named",
    async ({ owner, thief, router }) => {
      await ip(owner, "link set eth0 down");
      await ip(thief, `address add ${OWNER}/32 dev eth0`);
      await spoof(thief, "arp", OWNER, THIEF_MAC);
      expect(await asks(thief, `http://${ROUTER}${PATH}`, OWNER)).toBe("i-owner");
      await until("the mismatch to be named", 5_000, async () =>
        (await router.admin("/conditions")).body.includes(
          `seen with ${THIEF_MAC}, leased to ${OWNER_MAC}`,
        ),
      );
      expect((await router.admin("/metrics")).body).toMatch(/mac_mismatches_total [1-9]/);
      const why = JSON.parse((await router.admin(`/why?ip=${OWNER}&path=${PATH}`)).body);
      expect(JSON.stringify(why)).toContain(`${THIEF_MAC} there, but the lease says`);

      await ip(thief, `address del ${OWNER}/32 dev eth0`);
      await ip(owner, "link set eth0 up");
      await ip(owner, `route replace default via ${ROUTER}`);
      expect(await asks(owner, `http://${ROUTER}${PATH}`)).toBe("i-owner");
    },
  );

  identity(
    "audit",
    "a guest without IPv4 is known by its MAC address: privacy and link-local addresses",
    async ({ six, thief, router }) => {
      const privacy = "fd00:5a::8d3f:1122:3344:5566";
      await ip(six, `-6 address add ${privacy}/64 dev eth0 nodad`);
      await becomes("i-six", six, `http://[${ROUTER6}]${PATH}`, privacy);
      expect(await asks(six, `http://[${ROUTER6}]/latest/local-ipv4`, privacy)).toBe(SIX);
      await becomes("i-six", six, `http://[${LINK_LOCAL}%25eth0]${PATH}`);
      const why = JSON.parse((await router.admin(`/why?ip=${privacy}&path=${PATH}`)).body);
      expect(JSON.stringify(why)).toContain(`${SIX_MAC} is the one that ${SIX} is leased to`);
      // Who claims it by a neighbour advertisement is nobody for a while, and never another.
      await ip(thief, `-6 address add ${privacy}/64 dev eth0 nodad`);
      await ip(six, "link set eth0 down");
      await spoof(thief, "na", privacy, THIEF_MAC);
      expect(await asks(thief, `http://[${ROUTER6}]${PATH}`, privacy)).toBe("");
      // So is a secondary IPv4 address, of which no source says anything.
      await ip(thief, "address add 10.1.1.77/32 dev eth0");
      await becomes("i-thief", thief, `http://${ROUTER}${PATH}`, "10.1.1.77");
      // A stranger's addresses are nobody's.
      expect(JSON.parse((await router.admin(`/why?ip=fd00:5a::77`)).body).identity).toBe("unknown");
    },
  );
}

interface Scene extends AsyncDisposable {
  readonly lab: Lab;
  readonly owner: Place;
  readonly thief: Place;
  readonly six: Place;
  readonly router: Router;
}

async function open(rim: Rim, macEvidence: string): Promise<Scene> {
  const lab = await openLab({
    guests: [
      { mac: OWNER_MAC, address: OWNER },
      { mac: THIEF_MAC, address: THIEF },
      { mac: SIX_MAC },
    ],
  });
  const [owner, thief, six] = lab.guests;
  if (owner === undefined || thief === undefined || six === undefined) throw new Error("lab");
  await ip(lab.router, `-6 address add ${ROUTER6}/64 dev eth0 nodad`);
  await ip(lab.router, `-6 address add ${LINK_LOCAL}/64 dev eth0 nodad`);
  const named = (name: string, at: string) =>
    [
      ["metadata", "instance-id", `i-${name}`],
      ["metadata", "local-ipv4", at],
    ] as const;
  const folder = join(lab.folder, "cloudstack");
  writeDatabags(folder, {
    ...{ router: ROUTER, prefix: 24 },
    instances: {
      [OWNER]: named("owner", OWNER),
      [THIEF]: named("thief", THIEF),
      [SIX]: named("six", SIX),
    },
  });
  const config = join(lab.folder, "frontdesk.yaml");
  const manage = macEvidence === "enforce";
  const cidrs = "[10.1.1.0/24, fd00:5a::/64]";
  writeFileSync(
    config,
    `networks: [{id: eth0, cidrs: ${cidrs}, macEvidence: ${macEvidence}}]\nfirewall: {manage: ${manage}}\n`,
  );
  const router = await startRouter({
    ...{ rim, source: `databag:${folder}`, stateDir: join(lab.folder, "state"), place: lab.router },
    listen: [`${ROUTER}:80`, `[${ROUTER6}]:80`, `[${LINK_LOCAL}%eth0]:80`],
    passwordListen: [`${ROUTER}:8080`],
    more: ["--config", config],
  });
  return {
    ...{ lab, owner, thief, six, router },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
}

/** Who is new may be told to ask again (503), as when the kernel is slow. */
async function becomes(answer: string, place: Place, url: string, from?: string): Promise<void> {
  await until(`${url} to be answered ${answer}`, 10_000, async () => {
    const got = await asks(place, url, from);
    expect(["", answer]).toContain(got);
    return got === answer;
  });
}

/** Waits for what the firewall does last when the router starts: it pins the neighbours. */
async function isInForce(lab: Lab): Promise<void> {
  await until("the neighbours to be pinned", 10_000, async () => {
    const rows = await ip(lab.router, "neigh show nud permanent");
    return [OWNER, THIEF, SIX].every((each) => rows.includes(`${each} `));
  });
}

/** Asks as often as the firewall lets one guest; what takes a second counts as an answer of "". */
async function keepAsking(place: Place, signal: AbortSignal): Promise<string[]> {
  const answers: string[] = [];
  while (!signal.aborted) {
    answers.push(await gets(place, `http://${ROUTER}${PATH}`));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return answers;
}
