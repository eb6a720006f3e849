/**
 * The firewall's table with a real nft: it comes and goes whole, is left alone where it is right,
 * and follows the leases while the router runs.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIp, parseMac } from "../../src/model/address.ts";
import { ConfigError } from "../../src/model/errors.ts";
import { type Exec, exec } from "../../src/platform/exec.ts";
import { Firewall } from "../../src/router/firewall/keeper.ts";
import { render } from "../../src/router/firewall/render.ts";
import { planTable, readTable, removeTable } from "../../src/router/firewall/table.ts";
import { settings as anySettings } from "../../src/router/firewall/testing.ts";
import {
  ADDRESS,
  asks,
  type FirewallLab,
  gets,
  ip,
  nftList,
  OWNER,
  openFirewallLab,
  ROUTER,
  settingsOf,
  spoof,
  THIEF,
} from "./firewall.ts";
import { labMissing, openLab } from "./lab.ts";
import { ok, until } from "./program.ts";

const lacking = labMissing(["nft", "curl", "python3"]);
const TEST_MS_MAX = 60_000;
const RULESETS = 40;

/** What others have in the kernel. */
const OTHERS = `
table ip filter {
  set seen {
    type ipv4_addr
    flags dynamic,timeout
    timeout 1h
  }
  chain INPUT {
    type filter hook input priority filter; policy accept;
    tcp dport 22 accept
  }
}
table inet frontdesk_guest {
  chain output {
    type filter hook output priority 0; policy accept;
  }
}
table ip frontdesk {
  chain mine {
    counter
  }
}
`;

const firewall = (name: string, body: (lab: FirewallLab) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(
    name,
    async () => {
      await using lab = await openFirewallLab();
      await body(lab);
    },
    TEST_MS_MAX,
  );

firewall("applied and removed, it leaves what others have as it was", async (lab) => {
  const { router, exec } = lab;
  await ok(router.command(["nft", "-f", "-"]), { input: OTHERS });
  const before = await nftList(router);
  expect((await lab.apply()).outcome).toBe("replaced");
  const during = await nftList(router);
  expect(during.replace(/table inet frontdesk \{[\s\S]*?\n\}\n/, "")).toBe(before);
  expect(await removeTable(exec)).toBe(true);
  expect(await nftList(router)).toBe(before);
  expect(await removeTable(exec)).toBe(false);
});

firewall("applied twice, the second changes nothing, not even a counter", async (lab) => {
  const { router, owner } = lab;
  await lab.apply();
  await asks(owner, `http://${ROUTER}/`);
  const list = () => ok(router.command(["nft", "-a", "list", "table", "inet", "frontdesk"]));
  const before = (await list()).replace(/expires \S+/g, "");
  expect((await lab.apply()).outcome).toBe("unchanged");
  expect((await list()).replace(/expires \S+/g, "")).toBe(before);
});

firewall(
  "other leases change the sets alone; other rules, or a lost one, the table",
  async (lab) => {
    const { router } = lab;
    await lab.apply();
    const handles = () =>
      ok(router.command(["nft", "-a", "list", "chain", "inet", "frontdesk", "leased"]));
    const before = await handles();
    const leases = [{ address: parseIp("10.1.1.12"), mac: OWNER }];
    const plan = await lab.apply({}, { leases });
    expect(plan.outcome).toBe("leases");
    expect(plan.text.split("\n").filter(Boolean).length).toBeLessThanOrEqual(5);
    expect(await handles()).toBe(before);
    expect((await lab.apply({}, { leases })).outcome).toBe("unchanged");
    expect((await lab.apply({ hopLimit: 3 }, { leases })).outcome).toBe("replaced");
    await ok(router.command(["nft", "flush", "chain", "inet", "frontdesk", "guests"]));
    expect((await lab.apply({ hopLimit: 3 }, { leases })).outcome).toBe("replaced");
    await ok(
      router.command(["nft", "delete", "element", "inet", "frontdesk", "leased4", "{ 10.1.1.12 }"]),
    );
    expect((await lab.apply({ hopLimit: 3 }, { leases })).outcome).toBe("leases");
  },
);

firewall("while the router runs, a lease counts as soon as it is told", async (lab) => {
  const { owner, thief, router, exec, start } = lab;
  const told: (string | undefined)[] = [];
  const running = new Firewall({ exec, start, onTrouble: (why) => told.push(why) });
  const { leases: _, ...rules } = settingsOf();
  await ip(router, `neigh replace 10.1.1.99 lladdr ${THIEF} dev eth0 nud permanent`);
  await running.setRules(rules);
  await running.setLease(ADDRESS, OWNER);
  await running.setLease(parseIp("10.1.1.99"), OWNER);
  await ip(thief, `address add ${ADDRESS}/32 dev eth0`);
  expect(await asks(owner, `http://${ROUTER}/`)).toContain(ADDRESS);
  expect(await gets(thief, `http://${ROUTER}/`, ADDRESS)).toBe("");
  // The address changes hands: now the other one is the thief.
  await running.setLease(ADDRESS, THIEF);
  await spoof(owner, "arp", ADDRESS, OWNER);
  expect(await asks(thief, `http://${ROUTER}/`, ADDRESS)).toContain(ADDRESS);
  expect(await gets(owner, `http://${ROUTER}/`)).toBe("");
  await running.refresh();
  expect(running.drops).toMatchObject({ outside: 0, rate: 0 });
  expect(running.drops?.mac).toBeGreaterThan(1);
  const permanent = () => ip(router, "neigh show nud permanent");
  expect(await permanent()).toContain(`${ADDRESS} dev eth0 lladdr ${THIEF}`);
  // Nobody's row but ours goes when the router does.
  expect(await permanent()).toContain(`10.1.1.99 dev eth0 lladdr ${THIEF}`);
  await running.setLease(ADDRESS, undefined);
  expect(await permanent()).not.toContain(ADDRESS);
  await running.setLease(ADDRESS, OWNER);
  await running.close({ removeTable: true });
  expect(await permanent()).not.toContain(ADDRESS);
  expect(await permanent()).toContain(`10.1.1.99 dev eth0 lladdr ${THIEF}`);
  expect(await nftList(router)).toBe("");
  expect(new Set(told)).toEqual(new Set([undefined]));
});

firewall("a table that someone removes is made again, and the trouble is told", async (lab) => {
  const { router, exec, start } = lab;
  const told: (string | undefined)[] = [];
  let isBroken = false;
  const breaking: Exec = (argv, options) => exec(isBroken ? ["false"] : argv, options);
  const running = new Firewall({ exec: breaking, start, onTrouble: (why) => told.push(why) });
  const { leases: _, ...rules } = settingsOf();
  await running.setRules(rules);
  await ok(router.command(["nft", "delete", "table", "inet", "frontdesk"]));
  isBroken = true;
  await running.setLease(ADDRESS, OWNER);
  expect(told.at(-1)).toBe("nft: ended with 1");
  isBroken = false;
  await until("all to be made again", 10_000, () => told.at(-1) === undefined);
  expect(await nftList(router)).toContain(`elements = { ${ADDRESS} . ${OWNER} }`);
  await ip(router, "link set eth0 down");
  await ip(router, "link set eth0 up");
  expect(await ip(router, "neigh show nud permanent")).not.toContain(ADDRESS);
  await running.refresh();
  expect(await ip(router, "neigh show nud permanent")).toContain(ADDRESS);
  await ok(router.command(["nft", "flush", "ruleset"]));
  await running.refresh();
  expect(await nftList(router)).toContain(`elements = { ${ADDRESS} . ${OWNER} }`);
  await running.close();
});

firewall("a device that is gone is told, and the table stays as it is", async (lab) => {
  const { router, exec, start } = lab;
  const told: (string | undefined)[] = [];
  const running = new Firewall({ exec, start, onTrouble: (why) => told.push(why) });
  const { leases: _, ...rules } = settingsOf({ devices: ["eth0", "eth7"] });
  await running.setLease(ADDRESS, OWNER);
  await running.setRules(rules);
  expect(told.at(-1)).toContain('Cannot find device "eth7"');
  const list = () => ok(router.command(["nft", "-a", "-s", "list", "table", "inet", "frontdesk"]));
  const before = await list();
  expect(before).toContain(`elements = { ${ADDRESS} . ${OWNER} }`);
  await ip(router, "link add eth7 type veth peer name host7");
  await until("the neighbour to be made", 10_000, () => told.at(-1) === undefined);
  expect(await ip(router, "neigh show dev eth7 nud permanent")).toContain(ADDRESS);
  expect(await list()).toBe(before);
  await running.close();
});

firewall("a thousand leases that change at once are a few transactions", async (lab) => {
  const { exec, start } = lab;
  let runs = 0;
  const counting: Exec = (argv, options) => {
    runs++;
    return exec(argv, options);
  };
  const running = new Firewall({ exec: counting, start });
  const { leases: _, ...rules } = settingsOf();
  await running.setRules(rules);
  runs = 0;
  const done = Array.from({ length: 1000 }, (_, i) =>
    running.setLease(parseIp(`fd00:5a::2:${i.toString(16)}`), parseMac("02:00:00:00:01:00")),
  );
  await Promise.all(done);
  expect(runs).toBeLessThanOrEqual(2);
  const listed = await ok(
    lab.router.command(["nft", "list", "set", "inet", "frontdesk", "leased6"]),
  );
  expect(listed.match(/fd00:5a::2:/g)?.length).toBe(1000);
  await running.close();
});

// Goal: whatever the settings are, nft takes the text, and reads in it what we have counted.
test.skipIf(lacking !== undefined)(
  "nft takes every text, and finds in it as many chains and rules",
  async () => {
    await using lab = await openLab({ guests: [] });
    const run: Exec = (argv, options) => exec(lab.router.command(argv), options);
    const nft = (args: string[], input = "") => ok(lab.router.command(["nft", ...args]), { input });
    await fc.assert(
      fc.asyncProperty(anySettings, async (settings) => {
        let ruleset: ReturnType<typeof render>;
        try {
          ruleset = render(settings);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        await nft(["-f", "-"], ruleset.text);
        const present = await readTable(run);
        expect(new Map([...(present?.rules ?? [])].sort())).toEqual(
          new Map([...ruleset.rules].sort()),
        );
        expect(planTable(present, ruleset).outcome).toBe("unchanged");
        expect((await nft(["list", "tables"])).trimEnd()).toBe("table inet frontdesk");
      }),
      { numRuns: RULESETS },
    );
  },
  TEST_MS_MAX,
);
