/** The firewall's text: what stands in it, and what never does. */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parseCidr, parseIp, parseMac } from "../../model/address.ts";
import { ConfigError } from "../../model/errors.ts";
import { leaseLines } from "./lease-sets.ts";
import { render } from "./render.ts";
import type { FirewallNetwork, FirewallSettings } from "./settings.ts";
import { settings as anySettings } from "./testing.ts";
import { widest } from "./text.ts";

const PAGE = join(import.meta.dirname, "../../../docs/firewall.md");
const MAC = parseMac("02:00:00:00:00:01");
const at = (host: string, port: number) => ({ host: parseIp(host), port });

const NETWORK: FirewallNetwork = {
  ...{ id: "tier-1", cidrs: [parseCidr("10.1.1.0/24")], devices: ["eth2"] },
  ...{ routed: false, macEvidence: "enforce" },
};
const SETTINGS: FirewallSettings = {
  ...{ networks: [NETWORK], listen: [at("10.1.1.1", 80)], passwordListen: [at("10.1.1.1", 8080)] },
  ...{ managementCidrs: [], guests: { maxConnections: 64, newPerSecond: 50 } },
  leases: [{ address: parseIp("10.1.1.5"), mac: MAC }],
};

test("docs/firewall.md shows the whole table of one network", () => {
  const page = readFileSync(PAGE, "utf8");
  const block = /(```nft\n)([\s\S]*?)(```\n)/;
  const { text } = render(SETTINGS);
  if (process.env.FRONTDESK_UPDATE === "1") {
    writeFileSync(
      PAGE,
      page.replace(block, (_, before, _old, after) => before + text + after),
    );
  } else expect(block.exec(page)?.[2]).toBe(text);
});

test("the digest is of the rules, not of the leases", () => {
  const { digest } = render(SETTINGS);
  expect(render({ ...SETTINGS, leases: [] }).digest).toBe(digest);
  expect(render({ ...SETTINGS, hopLimit: 1 }).digest).not.toBe(digest);
  expect(render({ ...SETTINGS, listen: [at("10.1.1.1", 81)] }).digest).not.toBe(digest);
});

test("only networks that enforce it have their leases in the kernel", () => {
  const check = (network: Partial<FirewallNetwork>, leased: readonly string[]): void => {
    const ruleset = render({ ...SETTINGS, networks: [{ ...NETWORK, ...network }] });
    expect([...ruleset.leases.leased4]).toEqual([...leased]);
    expect([...ruleset.leases.pairs4]).toEqual(leased.map((address) => `${address} . ${MAC}`));
    expect(ruleset.text.includes("jump leased")).toBe(
      network.routed !== true && network.macEvidence === undefined,
    );
  };
  check({}, ["10.1.1.5"]);
  check({ macEvidence: "audit" }, []);
  check({ macEvidence: "off" }, []);
  check({ routed: true }, []);
  const elsewhere = render({ ...SETTINGS, leases: [{ address: parseIp("10.9.9.9"), mac: MAC }] });
  expect([...elsewhere.leases.leased4]).toEqual([]);
});

test("settings that would shut guests out, or mean two things, are refused", () => {
  const check = (more: Partial<FirewallSettings>, message: string): void => {
    expect(() => render({ ...SETTINGS, ...more })).toThrow(message);
  };
  const network = (more: Partial<FirewallNetwork>) => ({ networks: [{ ...NETWORK, ...more }] });
  check({ networks: [] }, "needs a network");
  check({ listen: [], passwordListen: [] }, "what the router listens on");
  check(network({ cidrs: [] }), 'network "tier-1" has no address ranges');
  check(network({ devices: ["eth*"] }), 'network "tier-1": "eth*" is not the name of a device');
  check(network({ hopLimit: 0 }), "whole number from 1 to 255");
  check({ hopLimit: 1.5 }, "whole number from 1 to 255");
  check(network({ guests: { newPerSecond: Number.NaN } }), "a limit for guests");
  check(
    { networks: [NETWORK, { ...NETWORK, id: "b", cidrs: [parseCidr("10.1.0.0/16")] }] },
    '10.1.1.0/24 of network "tier-1" overlaps 10.1.0.0/16 of network "b"',
  );
});

test("a lease that passes to another MAC address goes and comes in one transaction", () => {
  const other = parseMac("02:00:00:00:00:02");
  const address = parseIp("fd00::5");
  expect(leaseLines([{ address, mac: MAC }], [{ address, mac: other }])).toBe(
    [
      "delete element inet frontdesk leased6 { fd00::5 }",
      `delete element inet frontdesk pairs6 { fd00::5 . ${MAC} }`,
      "add element inet frontdesk leased6 { fd00::5 }",
      `add element inet frontdesk pairs6 { fd00::5 . ${other} }`,
      "",
    ].join("\n"),
  );
});

// Goal: nothing that an id, an address or a device says is more than a word of the text.
// Method: random settings; what stands in quotes is harmless, the rest is of our own characters.
test("whatever the settings, the text is of harmless characters", () => {
  fc.assert(
    fc.property(anySettings, (settings) => {
      let text: string;
      try {
        ({ text } = render(settings));
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        return;
      }
      for (const quoted of text.match(/"[^"]*"/g) ?? []) expect(quoted).toMatch(/^"[\w.: @+-]*"$/);
      const rest = text
        .replace(/"[^"]*"/g, "")
        .split("\n")
        .slice(1);
      for (const line of rest) expect(line).toMatch(/^[\w\t .:,@{}&!=/;-]*$/);
    }),
  );
});

// Goal: `widest` covers what was given, with no range in another.
test("ranges within others are left out, and nothing else", () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 }))
    .map(([last, bits]) => parseCidr(`10.0.0.${last}/${bits}`));
  fc.assert(
    fc.property(fc.array(range), (cidrs) => {
      const kept = widest(cidrs, 4).map(parseCidr);
      for (const cidr of cidrs) {
        expect(kept.filter((k) => k.first <= cidr.first && cidr.last <= k.last)).toHaveLength(1);
      }
      expect(widest(cidrs, 6)).toEqual([]);
    }),
  );
});
