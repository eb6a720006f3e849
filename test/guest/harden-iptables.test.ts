/**
 * `frontdesk guest harden` on iptables, both flavours, with real packets; and which firewall is
 * chosen where several are.
 */

import { expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import { type HardenLab, openHardenLab, STRANGER } from "./harden-lab.ts";

const tools = ["iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"];
const lacking = labMissing(["nft", "curl", "setpriv", "sysctl", ...tools]);
const it = test.skipIf(lacking !== undefined);
const TIMEOUT_MS = 60_000;

const URLS = [
  "http://169.254.169.254/",
  "http://10.1.1.1:8080/",
  "http://[fd00:ec2::254]/",
  "http://[fe80::a9fe:a9fe%25eth0]:8080/",
];

/** Rules that are there before ours: an early ACCEPT must not let a stranger through. */
const FOREIGN = [
  "-A INPUT -p tcp --dport 25 -j DROP",
  "-A OUTPUT -o lo -j ACCEPT",
  "-A OUTPUT -p tcp -j ACCEPT",
  "-N other",
  "-A FORWARD -p tcp -j ACCEPT",
  "-A other -p udp -j DROP",
];

for (const flavour of ["legacy", "nft"] as const) {
  it(
    `iptables-${flavour}: strangers and containers are refused, the others pass`,
    async () => {
      await using lab = await openHardenLab();
      const state = rules(lab, flavour);
      await foreign(lab, flavour);
      const before = await state();
      const words = ["--backend", "iptables", "--allow", "www-data", "--allow-group", "games"];
      expect((await lab.harden(...words)).code).toBe(0);
      expect(await state()).toBe(before);

      expect(await lab.harden(...words, "--apply")).toMatchObject({ code: 0 });
      for (const url of URLS) {
        expect({
          url,
          root: await lab.ask(url),
          user: await lab.ask(url, { user: "33", group: STRANGER }),
          group: await lab.ask(url, { user: STRANGER, group: "60" }),
          stranger: await lab.ask(url, { user: STRANGER }),
          container: url.includes("fe80") ? "refused" : await lab.askFromContainer(url),
        }).toEqual({
          url,
          ...{ root: "passes", user: "passes", group: "passes" },
          ...{ stranger: "refused", container: "refused" },
        });
      }
      const waiting = await lab.router.run(["ss", "-Htan", "state", "last-ack"]);
      expect(waiting.stdout.toString()).toBe("");

      const once = await state();
      expect((await lab.harden(...words, "--apply")).out).toContain("nothing had to change");
      expect(await state()).toBe(once);
      expect(await lab.harden(...words, "--check")).toMatchObject({ code: 0 });

      expect((await lab.harden("--remove")).code).toBe(0);
      expect(await state()).toBe(before);
    },
    TIMEOUT_MS,
  );
}

it(
  "a rule that was put before ours is a finding, and the next run puts ours first again",
  async () => {
    await using lab = await openHardenLab();
    await lab.harden("--backend", "iptables", "--apply");
    await lab.ok("iptables -I OUTPUT 1 -p tcp -j ACCEPT");
    expect(await lab.ask(URLS[0] ?? "", { user: STRANGER })).toBe("passes");
    expect((await lab.harden("--backend", "iptables", "--check")).code).toBe(3);
    await lab.harden("--backend", "iptables", "--apply");
    expect(await lab.ask(URLS[0] ?? "", { user: STRANGER })).toBe("refused");
    expect((await lab.harden("--backend", "iptables", "--check")).code).toBe(0);
    const jumps = await lab.ok("iptables-save | grep -c -- '-j frontdesk_guest$'");
    expect(jumps.trim()).toBe("1");
  },
  TIMEOUT_MS,
);

it(
  "nftables is chosen, unless rules of iptables-legacy rule the host",
  async () => {
    await using lab = await openHardenLab();
    expect((await lab.harden()).out).toContain("firewall   nftables: nft works");
    await lab.ok("iptables-nft -A INPUT -p tcp --dport 25 -j DROP");
    expect((await lab.harden()).out).toContain("firewall   nftables: nft works");

    await lab.harden("--apply");
    await lab.ok("iptables-legacy -P FORWARD DROP");
    await lab.ok("ip6tables-legacy -A INPUT -p tcp --dport 25 -j DROP");
    const chosen = "iptables (legacy): 2 rules of iptables-legacy rule this host";
    expect((await lab.harden("--apply")).out).toContain(chosen);
    // What an earlier choice had made is gone: one place to look at, one to remove.
    expect(await lab.ok("nft list tables")).not.toContain("frontdesk");
    expect(await lab.ok("iptables-legacy-save")).toContain("-A OUTPUT -j frontdesk_guest");

    await lab.ok("iptables-legacy -P FORWARD ACCEPT; ip6tables-legacy -F INPUT");
    expect((await lab.harden("--apply")).out).toContain("firewall   nftables");
    expect(await lab.ok("iptables-legacy-save")).not.toContain("frontdesk");
  },
  TIMEOUT_MS,
);

/** Puts other rules into all tables of the flavour, and makes `iptables` mean it. */
async function foreign(lab: HardenLab, flavour: "legacy" | "nft"): Promise<void> {
  for (const rule of FOREIGN) {
    for (const program of ["iptables", "ip6tables"]) await lab.ok(`${program}-${flavour} ${rule}`);
  }
}

/** What iptables and nft say of everything, without counters and times. */
function rules(lab: HardenLab, flavour: string): () => Promise<string> {
  const programs = [`iptables-${flavour}-save`, `ip6tables-${flavour}-save`, "nft -s list ruleset"];
  return async () => {
    const text = await lab.ok(programs.join("; "));
    return text.replace(/^#.*$/gm, "").replace(/\[\d+:\d+\]/g, "");
  };
}
