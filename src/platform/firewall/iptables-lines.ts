/**
 * The rules of iptables and ip6tables, as `iptables-save` prints them, as our rules.
 */

import type { Chain, Match, Property, Rule, Table, Verdict } from "./model.ts";

const HOOKS: Readonly<Record<string, "output" | "input">> = { OUTPUT: "output", INPUT: "input" };
/** In which order the kernel asks the tables. */
const PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  nat: -100,
  filter: 0,
  security: 50,
};

/** Options that only say more about a match, or load it: without a value, with one. */
const IGNORED: ReadonlySet<string> = new Set(["--syn"]);
const IGNORED_WITH_VALUE: ReadonlySet<string> = new Set(["-m", "--comment", "--reject-with"]);

const PROPERTIES: Readonly<Record<string, Property>> = {
  "-d": "daddr",
  "-s": "saddr",
  "-p": "protocol",
  "-o": "out",
  "-i": "in",
  "--dport": "dport",
  "--dports": "dport",
  "--sport": "sport",
  "--sports": "sport",
  "--ctstate": "state",
  "--state": "state",
  "--uid-owner": "uid",
};

const VERDICTS: Readonly<Record<string, "accept" | "drop" | "reject" | "divert" | "return">> = {
  ACCEPT: "accept",
  DROP: "drop",
  REJECT: "reject",
  DNAT: "divert",
  REDIRECT: "divert",
  RETURN: "return",
};
/** Targets after which the next rule is asked. */
const PASSING: ReadonlySet<string> = new Set([
  "LOG",
  "NFLOG",
  "MARK",
  "CONNMARK",
  "TCPMSS",
  "TRACE",
]);

export function tablesOfIptables(
  saved: string,
  { family, tool }: { readonly family: 4 | 6; readonly tool: string },
): readonly Table[] {
  const tables: Table[] = [];
  for (const [, name = "", body = ""] of saved.matchAll(/^\*(\w+)\n([\s\S]*?)^COMMIT$/gm)) {
    const priority = PRIORITIES[name];
    if (priority === undefined) continue;
    const lines = body.split("\n");
    const chains = lines.flatMap((line): Chain[] => {
      const [, chain = "", policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
      if (chain === "") return [];
      const start = `-A ${chain} `;
      const rules = lines.filter((one) => one.startsWith(start)).map((one) => ruleOf(one));
      const hook = HOOKS[chain];
      if (hook === undefined) return [{ name: chain, rules }];
      const base = { hook, priority, policy: policy === "DROP" ? "drop" : "accept" } as const;
      return [{ name: chain, rules, base }];
    });
    tables.push({ name, family, tool, chains });
  }
  return tables;
}

function ruleOf(text: string): Rule {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g)?.slice(2) ?? [];
  const matches: Match[] = [];
  let verdict: Verdict | undefined;
  let negated = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const property = PROPERTIES[word];
    if (word === "!") {
      negated = true;
      continue;
    }
    if (word === "-j" || word === "-g") verdict = verdictOf(word, words[++i] ?? "");
    else if (IGNORED_WITH_VALUE.has(word)) i++;
    else if (property !== undefined) matches.push(matchOf(property, words[++i] ?? "", negated));
    else if (word.startsWith("-") && !IGNORED.has(word) && !isOfTarget(verdict)) {
      matches.push({ property: "unknown", negated: false, among: [] });
    }
    negated = false;
  }
  return { text, matches, verdict };
}

/** What follows a target that decides nothing is its own: `--log-prefix`. */
function isOfTarget(verdict: Verdict | undefined): boolean {
  return verdict !== undefined;
}

function verdictOf(word: string, target: string): Verdict {
  const kind = VERDICTS[target];
  if (kind !== undefined) return { kind };
  if (PASSING.has(target)) return { kind: "unknown" };
  return { kind: word === "-g" ? "goto" : "jump", chain: target };
}

function matchOf(property: Property, value: string, negated: boolean): Match {
  const among = value.split(",").map((one): Match["among"][number] => {
    const [, low, high] = /^(\d+):(\d+)$/.exec(one) ?? [];
    if (low !== undefined) return [Number(low), Number(high)];
    if (property === "state") return one.toLowerCase();
    return /^\d+$/.test(one) ? Number(one) : one;
  });
  return { property, negated, among };
}
