/**
 * nftables' ruleset as `nft -j` prints it (libnftables-json(5)), as our rules. The words of a rule
 * come from the list for people, by its handle.
 */

import type { Chain, Match, Property, Rule, Table, Verdict } from "./model.ts";

type Json = Readonly<Record<string, unknown>>;

const FIELDS: Readonly<Record<string, Property>> = {
  "ip daddr": "daddr",
  "ip6 daddr": "daddr",
  "ip saddr": "saddr",
  "ip6 saddr": "saddr",
  "tcp dport": "dport",
  "th dport": "dport",
  "tcp sport": "sport",
  "th sport": "sport",
  "ip protocol": "protocol",
  "ip6 nexthdr": "protocol",
  "meta l4proto": "protocol",
  "meta nfproto": "family",
  "meta protocol": "family",
  "meta skuid": "uid",
  "meta oifname": "out",
  "meta oif": "out",
  "meta iifname": "in",
  "meta iif": "in",
  "ct state": "state",
};

const FAMILIES: Readonly<Record<string, 0 | 4 | 6>> = { inet: 0, ip: 4, ip6: 6 };
/** What a machine itself sends and receives goes through these. */
const TYPES: ReadonlySet<unknown> = new Set(["filter", "route", "nat"]);

/** @param words the output of `nft -a list ruleset` */
export function tablesOfNft(json: string, words: string): readonly Table[] {
  const items = ((JSON.parse(json) as { nftables?: unknown }).nftables ?? []) as Json[];
  const of = (kind: string): Json[] =>
    items.flatMap((item) => (item[kind] === undefined ? [] : [item[kind] as Json]));
  const texts = textsByHandle(words);
  const sets = new Map(of("set").map((set) => [idOf(set, set.name), list(set.elem)]));
  return of("table").flatMap((table): Table[] => {
    const family = FAMILIES[String(table.family)];
    if (family === undefined) return [];
    const isHere = (item: Json): boolean =>
      item.family === table.family && item.table === table.name;
    const chains = of("chain")
      .filter(isHere)
      .map((chain): Chain => {
        const rules = of("rule")
          .filter((rule) => isHere(rule) && rule.chain === chain.name)
          .flatMap((rule) =>
            rulesOf(rule, textOf(rule, texts), (name) => sets.get(idOf(rule, name))),
          );
        return chainOf(chain, rules);
      });
    return [{ name: `${table.family} ${table.name}`, family, tool: "nft", chains }];
  });
}

function chainOf(chain: Json, rules: readonly Rule[]): Chain {
  const name = String(chain.name);
  const { hook } = chain;
  if ((hook !== "output" && hook !== "input") || !TYPES.has(chain.type)) return { name, rules };
  const policy = chain.policy === "drop" ? "drop" : "accept";
  return { name, rules, base: { hook, priority: Number(chain.prio ?? 0), policy } };
}

/** One rule; several where it decides by a verdict map. */
function rulesOf(
  rule: Json,
  text: string,
  setOf: (name: unknown) => readonly unknown[] | undefined,
): Rule[] {
  const matches: Match[] = [];
  let verdict: Verdict | undefined;
  for (const part of list(rule.expr)) {
    const [[kind, value] = ["", undefined]] = Object.entries(part as Json);
    if (kind === "match") matches.push(matchOf(value as Json, setOf));
    else if (kind === "vmap") return mapped(value as Json, matches, text);
    else if (kind === "xt" || kind === "limit") matches.push(UNKNOWN);
    else verdict = verdictOf(kind, value) ?? verdict;
  }
  return [{ text, matches, verdict }];
}

const UNKNOWN: Match = { property: "unknown", negated: false, among: [] };

function mapped({ key, data }: Json, before: readonly Match[], text: string): Rule[] {
  const entries = list((data as Json | undefined)?.set);
  const property = propertyOf(key);
  if (entries.length === 0)
    return [{ text, matches: [...before, UNKNOWN], verdict: { kind: "unknown" } }];
  return entries.map((entry) => {
    const [value, what] = list(entry);
    const [[kind, target] = ["", undefined]] = Object.entries((what ?? {}) as Json);
    const match: Match = { property, negated: false, among: amongOf(value, () => undefined) ?? [] };
    return { text, matches: [...before, match], verdict: verdictOf(kind, target) };
  });
}

function matchOf(
  { op, left, right }: Json,
  setOf: (name: unknown) => readonly unknown[] | undefined,
): Match {
  const property = propertyOf(left);
  const among = amongOf(right, setOf);
  const known = op === "==" || op === "in" || op === "!=";
  if (property === "unknown" || among === undefined || !known) return UNKNOWN;
  return { property, negated: op === "!=", among };
}

function propertyOf(left: unknown): Property | "unknown" {
  const { payload, meta, ct } = (left ?? {}) as Record<string, Json | undefined>;
  const name =
    payload !== undefined
      ? `${payload.protocol} ${payload.field}`
      : meta !== undefined
        ? `meta ${meta.key}`
        : `ct ${ct?.key}`;
  return FIELDS[name] ?? "unknown";
}

/** What a value is compared with; `undefined` where there is a form that we do not know. */
function amongOf(
  right: unknown,
  setOf: (name: unknown) => readonly unknown[] | undefined,
): Match["among"] | undefined {
  if (typeof right === "string" && right.startsWith("@")) {
    const elements = setOf(right.slice(1));
    return elements === undefined ? undefined : amongOf(elements, setOf);
  }
  if (typeof right === "string" || typeof right === "number") return [right];
  if (Array.isArray(right)) {
    const all = right.map((one) => amongOf(one, setOf));
    return all.includes(undefined) ? undefined : all.flatMap((one) => one ?? []);
  }
  const { set, prefix, range, elem } = (right ?? {}) as Record<string, unknown>;
  if (set !== undefined) return amongOf(set, setOf);
  if (elem !== undefined) return amongOf((elem as Json).val, setOf);
  if (prefix !== undefined) return [`${(prefix as Json).addr}/${(prefix as Json).len}`];
  const [low, high] = list(range);
  return typeof low === "number" && typeof high === "number" ? [[low, high]] : undefined;
}

function verdictOf(kind: string, value: unknown): Verdict | undefined {
  switch (kind) {
    case "accept":
    case "drop":
    case "reject":
    case "return":
      return { kind };
    case "jump":
    case "goto":
      return { kind, chain: String((value as Json).target) };
    case "dnat":
    case "redirect":
      return { kind: "divert" };
    case "queue":
    case "synproxy":
      return { kind: "unknown" };
    default:
      return undefined;
  }
}

/** Lines of `nft -a list ruleset` by table, chain and handle. */
function textsByHandle(words: string): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  let table = "";
  let chain = "";
  for (const line of words.split("\n")) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
    const [, text, handle] = /^\t\t(.+) # handle (\d+)$/.exec(line) ?? [];
    if (text !== undefined) texts.set(`${table} ${chain} ${handle}`, text);
  }
  return texts;
}

function textOf(rule: Json, texts: ReadonlyMap<string, string>): string {
  const id = `${rule.family} ${rule.table} ${rule.chain} ${rule.handle}`;
  return texts.get(id)?.replace(/ counter packets \d+ bytes \d+/, "") ?? `rule ${rule.handle}`;
}

function idOf(item: Json, name: unknown): string {
  return `${item.family} ${item.table} ${name}`;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
