/**
 * The router's own firewall with a real kernel and real traffic: whom it lets pass, and whom not.
 */

import { expect, test } from "bun:test";
import { parseCidr, parseIp } from "../../src/model/address.ts";
import {
  ADDRESS,
  ADDRESS6,
  asks,
  type FirewallLab,
  gets,
  ip,
  LINK_LOCAL,
  MANAGEMENT,
  nftList,
  OWNER,
  openFirewallLab,
  PUBLIC,
  ROUTER,
  ROUTER6,
  spoof,
  THIEF,
} from "./firewall.ts";
import { labMissing } from "./lab.ts";
import { ok, until } from "./program.ts";

const lacking = labMissing(["nft", "curl", "python3"]);
const TEST_MS_MAX = 60_000;

const firewall = (name: string, body: (lab: FirewallLab) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(
    name,
    async () => {
      await using lab = await openFirewallLab();
      await body(lab);
    },
    TEST_MS_MAX,
  );

firewall("our ports are for guests, and nothing else is touched", async (lab) => {
  const { owner, outside, router } = lab;
  expect(await asks(outside, `http://${ROUTER}/`)).toContain("203.0.113.9");
  await lab.apply();
  for (const at of [ROUTER, `${ROUTER}:8080`, "169.254.169.254"]) {
    expect([at, await asks(owner, `http://${at}/`)]).toEqual([
      at,
      expect.stringContaining(ADDRESS),
    ]);
    expect([at, await gets(outside, `http://${at}/`)]).toEqual([at, ""]);
  }
  for (const at of [`[${ROUTER6}]`, `[${ROUTER6}]:8080`]) {
    expect([at, await asks(owner, `http://${at}/`)]).toEqual([at, ADDRESS6]);
  }
  // Other ports, other addresses of this machine, and the machine itself.
  expect(await asks(outside, `http://${ROUTER}:81/`)).toContain("203.0.113.9");
  expect(await asks(outside, `http://${PUBLIC}/`)).toContain("203.0.113.9");
  expect(await asks(router, `http://${ROUTER}/`)).toContain(ROUTER);
});

firewall("a link-local source passes on the guests' device, and on no other", async (lab) => {
  const { owner, outside } = lab;
  const url = `http://[${LINK_LOCAL}%25eth0]/`;
  expect(await asks(outside, url)).toMatch(/^fe80:/);
  await lab.apply();
  expect(await asks(owner, url)).toMatch(/^fe80:/);
  expect(await gets(outside, url)).toBe("");
  // Where no device is known, the only network is the right one.
  await lab.apply({ devices: [] });
  expect(await asks(owner, url)).toMatch(/^fe80:/);
});

firewall("a guest's address that comes by another device is not a guest", async (lab) => {
  const { outside, router, owner } = lab;
  await ip(outside, "address add 10.1.1.77/32 dev eth0");
  await ip(router, "route add 10.1.1.77 dev port2");
  await router.run(["sysctl", "-w", "net.ipv4.conf.all.rp_filter=0"]);
  await router.run(["sysctl", "-w", "net.ipv4.conf.port2.rp_filter=0"]);
  expect(await asks(outside, `http://${ROUTER}/`, "10.1.1.77")).toContain("10.1.1.77");
  await lab.apply();
  expect(await gets(outside, `http://${ROUTER}/`, "10.1.1.77")).toBe("");
  expect(await asks(owner, `http://${ROUTER}/`)).toContain(ADDRESS);
});

// Goal: who takes another's address gets nothing, and the owner does not notice.
// Method: the thief claims the address again and again, and asks, while the owner asks all the
// time and gives up on an answer that takes longer than a lost packet would.
firewall("a spoofed IPv4 source gets nothing, and its owner is served without a pause", (lab) =>
  checkSpoofing(lab, ADDRESS, `http://${ROUTER}/`, ["arp", ADDRESS, THIEF]),
);

firewall("a spoofed IPv6 source gets nothing, and its owner is served without a pause", (lab) =>
  checkSpoofing(lab, ADDRESS6, `http://[${ROUTER6}]/`, ["na", ADDRESS6, THIEF]),
);

async function checkSpoofing(
  lab: FirewallLab,
  address: string,
  url: string,
  claim: readonly string[],
): Promise<void> {
  const { owner, thief } = lab;
  expect(await asks(owner, url)).toContain(address);
  await lab.apply();
  const more = address.includes(":") ? "/128 dev eth0 nodad" : "/32 dev eth0";
  await ip(thief, `address add ${address}${more}`);
  // It knows where the router is, which would tell only the owner.
  const mac = /ether (\S+)/.exec(await ip(lab.router, "link show dev eth0"))?.[1];
  const target = address.includes(":") ? ROUTER6 : ROUTER;
  await ip(thief, `neigh replace ${target} lladdr ${mac} dev eth0 nud permanent`);
  const curl = `curl -gsm 0.9 --interface ${address} ${url} || echo LOST`;
  const serving = owner.start([
    "sh",
    "-c",
    `for i in $(seq 60); do ${curl}; echo; sleep 0.05; done`,
  ]);
  for (let round = 0; round < 3; round++) {
    await spoof(thief, ...claim);
    expect(await gets(thief, url, address)).toBe("");
  }
  await serving.ended;
  expect(serving.output()).not.toContain("LOST");
  expect(serving.output().match(/[0-9a-f]\n/g)).toHaveLength(60);
  const counted = await ok(
    lab.router.command(["nft", "list", "chain", "inet", "frontdesk", "leased"]),
  );
  expect(Number(/packets (\d+) .*"wrong MAC address"/.exec(counted)?.[1])).toBeGreaterThanOrEqual(
    3,
  );
}

firewall(
  "in audit, and behind a router of its own, a MAC address is not looked at",
  async (lab) => {
    const { thief } = lab;
    await ip(thief, "address add 10.1.1.13/32 dev eth0");
    const leases = [{ address: parseIp("10.1.1.13"), mac: OWNER }];
    const check = async (network: Parameters<FirewallLab["apply"]>[0], passes: boolean) => {
      await lab.apply(network, { leases });
      const seen = await gets(thief, `http://${ROUTER}/`, "10.1.1.13");
      expect([network, seen.includes("10.1.1.13")]).toEqual([network, passes]);
    };
    await check({ macEvidence: "audit" }, true);
    await check({ macEvidence: "enforce" }, false);
    await check({ macEvidence: "enforce", routed: true }, true);
    await check({ macEvidence: "enforce", devices: [] }, false);
    await check({ macEvidence: "off" }, true);
  },
);

firewall(
  "one guest may hold so many connections, with all its addresses; others too",
  async (lab) => {
    const { owner, thief } = lab;
    await lab.apply({ guests: { maxConnections: 5 } });
    const holder = owner.start(["python3", "-c", HOLD, ROUTER, ADDRESS, "12"]);
    await holder.says(/^open \d+$/m);
    expect(holder.output().trim()).toBe("open 5");
    // Neither IPv6 nor the password port is another guest.
    expect(await gets(owner, `http://[${ROUTER6}]:8080/`)).toBe("");
    expect(await asks(thief, `http://${ROUTER}/`)).toContain("10.1.1.12");
    holder.signal("SIGKILL");
    await holder.ended;
    await until("its connections to be forgotten", 10_000, async () => {
      return (await asks(owner, `http://${ROUTER}/`)).includes(ADDRESS);
    });
  },
);

firewall("one guest may open so many connections in a second; more come later", async (lab) => {
  const { owner, thief } = lab;
  await lab.apply({ guests: { newPerSecond: 5 } });
  const burst = owner.start(["python3", "-c", HOLD, ROUTER, ADDRESS, "30"]);
  await burst.says(/^open \d+$/m);
  const opened = Number(/open (\d+)/.exec(burst.output())?.[1]);
  expect(opened).toBeGreaterThanOrEqual(10);
  expect(opened).toBeLessThan(20);
  expect(await asks(thief, `http://${ROUTER}/`)).toContain("10.1.1.12");
});

// Goal: sources that a guest invents do not fill the memory, and are forgotten.
// Method: 20,000 connection attempts from a /16, from a guest of a network that is as wide.
firewall("twenty thousand invented sources fill a bounded set, and are forgotten", async (lab) => {
  const { owner, thief, router } = lab;
  const wide = { cidrs: [parseCidr("10.1.0.0/16")], macEvidence: "audit" as const };
  await lab.apply(wide, { guests: { maxConnections: 5, newPerSecond: 1_000_000 } });
  expect(await asks(thief, `http://${ROUTER}/`)).toContain("10.1.1.12");
  await spoof(thief, "syn", "10.1.0.0/16", ROUTER, "80", "20000");
  const count = async (set: string): Promise<number> => {
    const listed = await ok(router.command(["nft", "list", "set", "inet", "frontdesk", set]));
    return listed.match(/ct count|limit rate/g)?.length ?? 0;
  };
  const most = await count("new0ip4");
  expect(most).toBeGreaterThan(1000);
  expect(most).toBeLessThanOrEqual(8192);
  expect(await count("open0mac")).toBeLessThanOrEqual(2);
  expect(await asks(owner, `http://${ROUTER}/`)).toContain(ADDRESS);
  await until("the sources to be forgotten", 20_000, async () => (await count("new0ip4")) < 10);
});

firewall(
  "replies have the hop limit that is configured, and otherwise the usual one",
  async (lab) => {
    const { owner } = lab;
    const seen = async (): Promise<string[]> => {
      await owner.run(["nft", "delete", "table", "inet", "look"]);
      await ok(owner.command(["nft", "-f", "-"]), { input: LOOK });
      await asks(owner, `http://${ROUTER}/`);
      await asks(owner, `http://[${ROUTER6}]/`);
      await asks(owner, `http://${ROUTER}:81/`);
      const listed = await ok(owner.command(["nft", "list", "table", "inet", "look"]));
      const lines = [...listed.matchAll(/packets ([1-9]\d*) .* comment "(.*)"/g)];
      return lines.map(([, , comment = ""]) => comment).sort();
    };
    await lab.apply();
    expect(await seen()).toEqual(["other usual", "usual", "usual6"]);
    await lab.apply({ hopLimit: 1 });
    expect(await seen()).toEqual(["one", "one6", "other usual"].sort());
  },
);

firewall("the admin listener is closed to guests and open to the management", async (lab) => {
  const { owner, outside } = lab;
  const admin = { host: parseIp(ROUTER), port: 9000 };
  const url = `http://${ROUTER}:9000/`;
  expect(await asks(owner, url)).toContain(ADDRESS);
  await lab.apply({}, { admin });
  expect(await gets(owner, url)).toBe("");
  expect(await asks(outside, url)).toContain("203.0.113.9");
  await lab.apply({}, { admin, managementCidrs: [parseCidr(MANAGEMENT)] });
  expect(await gets(owner, url)).toBe("");
  expect(await gets(outside, url)).toBe("");
  expect(await asks(outside, url, "198.51.100.9")).toContain("198.51.100.9");
  expect(await asks(lab.router, url)).toContain(ROUTER);
});

firewall(
  "guests reach neither the management nor another cloud's metadata through us",
  async (lab) => {
    const { owner, outside, router } = lab;
    const server = outside.start([process.execPath, "-e", UNDERLAY]);
    await server.says(/ready/);
    await ip(router, "address del 169.254.169.254/32 dev eth0");
    await ip(outside, "address add 169.254.169.254/32 dev lo");
    await ip(router, "route add 169.254.169.254 via 203.0.113.9");
    await router.run(["sysctl", "-w", "net.ipv4.ip_forward=1"]);
    for (const at of ["169.254.169.254", "198.51.100.9", "203.0.113.9"]) {
      expect([at, await asks(owner, `http://${at}/`)]).toEqual([at, "the underlay"]);
    }
    await lab.apply({}, { managementCidrs: [parseCidr(MANAGEMENT)] });
    expect(await gets(owner, "http://169.254.169.254/")).toBe("");
    expect(await gets(owner, "http://198.51.100.9/")).toBe("");
    expect(await asks(owner, "http://203.0.113.9/")).toBe("the underlay");
    expect(await nftList(router)).toContain("chain beyond");
  },
);

const UNDERLAY = `
  Bun.serve({ hostname: "0.0.0.0", port: 80, fetch: () => new Response("the underlay") });
  console.log("ready");
`;

/** Opens connections at once, and says how many came about within a second. */
const HOLD = `
import select, socket, sys, time
target, source, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
opened, waiting = 0, []
for _ in range(count):
    s = socket.socket()
    s.setblocking(False)
    s.bind((source, 0))
    s.connect_ex((target, 80))
    waiting.append(s)
end, held = time.time() + 0.8, []
while time.time() < end:
    _, ready, _ = select.select([], [s for s in waiting if s not in held], [], 0.1)
    held += ready
print("open", len(held), flush=True)
time.sleep(30)
`;

const LOOK = `table inet look {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp sport 81 ip ttl 64 counter comment "other usual"
    tcp sport 80 ip ttl 64 counter comment "usual"
    tcp sport 80 ip ttl 1 counter comment "one"
    tcp sport 80 ip6 hoplimit 64 counter comment "usual6"
    tcp sport 80 ip6 hoplimit 1 counter comment "one6"
  }
}
`;
