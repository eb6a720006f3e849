/**
 * Reads the firewall of this machine: nftables, and iptables of both flavours where it rules.
 *
 * Tables that iptables-nft manages are read with its own program, because nft shows its matches as
 * closed boxes; each table is judged once.
 */

import { ExecError } from "../../model/errors.ts";
import type { Exec } from "../exec.ts";
import { tablesOfIptables } from "./iptables-lines.ts";
import type { Ruleset, Table } from "./model.ts";
import { tablesOfNft } from "./nft-json.ts";

const READ_MS_MAX = 3_000;
const MANAGED = /^ip6? (?:filter|raw|mangle|security|nat)$/;

/** `undefined` where no program can tell. */
export async function readRuleset(exec: Exec): Promise<Ruleset | undefined> {
  const say = async (...argv: string[]): Promise<string | undefined> => {
    try {
      const done = await exec(argv, { timeoutMs: READ_MS_MAX });
      return done.code === 0 ? done.stdout : undefined;
    } catch (error) {
      if (error instanceof ExecError) return undefined;
      throw error;
    }
  };
  const saved = async (family: 4 | 6): Promise<readonly Table[] | undefined> => {
    const plain = family === 4 ? "iptables" : "ip6tables";
    const all = await Promise.all(
      [plain, `${plain}-legacy`, `${plain}-nft`].map(async (name) => {
        const [version, text] = await Promise.all([say(name, "-V"), say(`${name}-save`)]);
        if (version === undefined || text === undefined) return undefined;
        const isNft = version.includes("(nf_tables)");
        return { isNft, tables: tablesOfIptables(text, { family, tool: name }) };
      }),
    );
    const found = all.filter((one) => one !== undefined);
    if (found.length === 0) return undefined;
    const nft = found.find(({ isNft }) => isNft);
    const legacy = found.find(({ isNft }) => !isNft);
    return [...(nft?.tables ?? []), ...(legacy?.tables ?? [])];
  };
  const [json, words, four, six] = await Promise.all([
    say("nft", "-j", "-a", "list", "ruleset"),
    say("nft", "-a", "list", "ruleset"),
    saved(4),
    saved(6),
  ]);
  if (json === undefined && four === undefined) return undefined;
  const ours = json === undefined ? [] : quietly(() => tablesOfNft(json, words ?? ""));
  const iptables = [...(four ?? []), ...(six ?? [])];
  const isManaged = ({ name, chains }: Table): boolean =>
    four !== undefined &&
    MANAGED.test(name) &&
    chains.some((chain) => ["OUTPUT", "INPUT"].includes(chain.name));
  return [...ours.filter((table) => !isManaged(table)), ...iptables];
}

/** A version of nft that prints what we cannot read is as good as none. */
function quietly(read: () => readonly Table[]): readonly Table[] {
  try {
    return read();
  } catch {
    return [];
  }
}
