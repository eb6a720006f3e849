/**
 * Which firewall the rules go into, and how they are put in force, checked and removed there.
 *
 * nftables wherever it works: a table of our own stands beside those of firewalld, ufw, Docker and
 * iptables-nft, and their reloads leave it alone. iptables where its older flavour rules the host,
 * because there an administrator looks with iptables and expects to see everything; and where nft
 * is missing.
 */

import { counted } from "../../model/count.ts";
import { ExecError, HardenError } from "../../model/errors.ts";
import type { Exec } from "../../platform/exec.ts";
import { findIptables, type Iptables } from "../../platform/iptables.ts";
import { NFT_ABSENT, type Nft, openNft } from "../../platform/nftables.ts";
import {
  EMPTY_TABLE,
  iptablesRemoval,
  iptablesScript,
  oursIn,
  policyOfSaved,
  rulesOfOthers,
} from "./iptables-rules.ts";
import { NFT_REMOVE, NFT_TABLE, nftScript, policyOfNft } from "./nft-rules.ts";
import type { BackendName } from "./options.ts";
import { makePolicy, type Policy } from "./policy.ts";
import type { HardenPorts } from "./ports.ts";

/** One program's input. */
export interface Script {
  /** Who reads it, as a command line: `nft -f -`. */
  readonly reader: string;
  readonly text: string;
}

export interface Backend {
  readonly name: BackendName;
  /** `nftables`, `iptables (legacy)`. */
  readonly title: string;
  /** What it leaves open, a sentence each. */
  readonly gaps: readonly string[];
  /** What `apply` hands over, for people to read. */
  scripts(policy: Policy): Promise<readonly Script[]>;
  /** The policy that is in force, as far as it can be read; `undefined` if there is none. */
  installed(): Promise<Policy | undefined>;
  /** Whether exactly this policy is in force. */
  holds(policy: Policy): Promise<boolean>;
  apply(policy: Policy): Promise<void>;
  /** Answers whether there was anything. */
  remove(): Promise<boolean>;
}

export interface Choice {
  readonly backend: Backend;
  /** Why this one, as a clause. */
  readonly why: string;
  /** The other ones that are there: what an earlier choice left in them is removed. */
  readonly others: readonly Backend[];
}

/** @throws {HardenError} if there is none, or not the one that was asked for. */
export async function chooseBackend(
  wanted: BackendName | undefined,
  ports: HardenPorts,
): Promise<Choice> {
  const nft = openNft(ports.exec);
  const missing = await nft.missing();
  // Without root nft is there, and says only that it may not look.
  const isUsable = missing === undefined || (!ports.isRoot && missing !== NFT_ABSENT);
  const nftables = isUsable ? openNftBackend(nft) : undefined;
  // The kernel has this file unless IPv6 is switched off; then ip6tables cannot work, nor need it.
  const hasIpv6 = ports.files.read("/proc/net/if_inet6") !== undefined;
  const pairs = await iptablesPairs(ports.exec, hasIpv6);
  const iptables = pairs.map((pair) => openIptablesBackend(pair, hasIpv6));
  const legacy = iptables.find(({ title }) => title.includes("legacy"));
  const rules = legacy === undefined ? 0 : await legacyRules(pairs);
  const pick = (backend: Backend | undefined, why: string): Choice => {
    if (backend === undefined) {
      const need = "install the package nftables";
      throw new HardenError("HARDEN_NO_FIREWALL", `no ${wanted ?? "firewall"} here: ${need}`);
    }
    const all = nftables === undefined ? iptables : [nftables, ...iptables];
    return { backend, why, others: all.filter((other) => other !== backend) };
  };
  if (wanted === "nftables") return pick(nftables, "asked for");
  if (wanted === "iptables") return pick(rules > 0 ? legacy : iptables[0], "asked for");
  if (legacy !== undefined && rules > 0) {
    return pick(
      legacy,
      `${counted(rules, "rule")} of iptables-legacy ${rules === 1 ? "rules" : "rule"} this host`,
    );
  }
  if (nftables === undefined) return pick(iptables[0], missing ?? "");
  const works = "nft works, and no rules of iptables-legacy are loaded; the table is our own";
  return pick(nftables, missing === undefined ? works : "only root can see what rules this host");
}

function openNftBackend(nft: Nft): Backend {
  return {
    name: "nftables",
    title: "nftables",
    gaps: [],
    scripts: async (policy) => [{ reader: "nft -f -", text: nftScript(policy) }],
    async installed() {
      if ((await nft.list(NFT_TABLE)) === undefined) return undefined;
      return policyOfNft(await nft.listJson(NFT_TABLE));
    },
    async holds(policy) {
      const live = await nft.list(NFT_TABLE);
      return live !== undefined && live === (await nft.rehearse(nftScript(policy), NFT_TABLE));
    },
    apply: (policy) => nft.load(nftScript(policy)),
    async remove() {
      if ((await nft.list(NFT_TABLE)) === undefined) return false;
      await nft.load(NFT_REMOVE);
      return true;
    },
  };
}

/** iptables and ip6tables of one flavour; the second may be missing. */
type Pair = readonly Iptables[];

async function iptablesPairs(exec: Exec, hasIpv6: boolean): Promise<readonly Pair[]> {
  const tools4 = await findIptables(exec, 4);
  const tools6 = hasIpv6 ? await findIptables(exec, 6) : [];
  return tools4.map((tool) => [tool, ...tools6.filter(({ flavour }) => flavour === tool.flavour)]);
}

/** Rules of the older flavour that are not ours. */
async function legacyRules(pairs: readonly Pair[]): Promise<number> {
  let count = 0;
  for (const tool of pairs.flat()) {
    if (tool.flavour === "legacy") count += rulesOfOthers(await saved(tool));
  }
  return count;
}

function openIptablesBackend(pair: Pair, hasIpv6: boolean): Backend {
  const [first] = pair;
  const command = (tool: Iptables): string =>
    `ip${tool.version === 6 ? "6" : ""}tables-restore --noflush`;
  const remove = async (): Promise<boolean> => {
    let any = false;
    for (const tool of pair) {
      const script = iptablesRemoval(await saved(tool));
      if (script === undefined) continue;
      await tool.restore(script);
      any = true;
    }
    return any;
  };
  return {
    name: "iptables",
    title: `iptables (${first?.flavour})`,
    gaps: hasIpv6 && pair.length < 2 ? ["IPv6 is open: there is no ip6tables here"] : [],
    scripts: async (policy) =>
      pair.map((tool) => ({
        reader: command(tool),
        text: iptablesScript(policy, tool.version, EMPTY_TABLE),
      })),
    async installed() {
      const policies = [];
      for (const tool of pair) policies.push(policyOfSaved(await saved(tool)));
      const [four, six] = policies;
      if (four === undefined) return undefined;
      return makePolicy({ ...four, addresses: [...four.addresses, ...(six?.addresses ?? [])] });
    },
    async holds(policy) {
      for (const tool of pair) {
        const script = iptablesScript(policy, tool.version, EMPTY_TABLE);
        if (oursIn(await tool.save()) !== oursIn(await tool.rehearse(script))) return false;
      }
      return true;
    },
    async apply(policy) {
      for (const tool of pair) {
        await tool.restore(iptablesScript(policy, tool.version, await tool.save()));
      }
    },
    remove,
  };
}

async function saved(tool: Iptables): Promise<string> {
  try {
    return await tool.save();
  } catch (error) {
    // The program may be there without its part of the kernel: then there are no rules.
    if (error instanceof ExecError && error.code === "PROGRAM_FAILED") return "";
    throw error;
  }
}
