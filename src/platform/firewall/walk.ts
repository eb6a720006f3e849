/**
 * Leads a packet through the rules of a hook, as the kernel does: tables by priority, an accept
 * ends one base chain, a drop ends everything.
 */

import { contains, parseCidr, tryParseIp } from "../../model/address.ts";
import type { Block, Chain, Match, Packet, Rule, Ruleset, Table } from "./model.ts";

/** Chains that call each other; the kernel itself allows 16. */
const DEPTH_MAX = 16;

/** What keeps a packet from where it was sent to. */
const STOPS: ReadonlySet<string> = new Set(["drop", "reject", "divert"]);

type Tri = "yes" | "no" | "unknown";
type End = "accept" | "drop" | "return";

/** What stops the packet, if something does or may. */
export function blockOf(
  ruleset: Ruleset,
  hook: "output" | "input",
  packet: Packet,
): Block | undefined {
  const bases = ruleset
    .filter(({ family }) => family === 0 || family === packet.family)
    .flatMap((table) => table.chains.map((base) => ({ table, base })))
    .filter(({ base }) => base.base?.hook === hook)
    .sort((a, b) => (a.base.base?.priority ?? 0) - (b.base.base?.priority ?? 0));
  let possible: Block | undefined;
  for (const { table, base } of bases) {
    const walk = new Walk(table, base, packet);
    const block = walk.run();
    if (block?.certain === true) return block;
    possible ??= block;
  }
  return possible;
}

class Walk {
  readonly #table: Table;
  readonly #base: Chain;
  readonly #packet: Packet;
  /** Whether a rule that may match could have accepted the packet before. */
  #unsure = false;
  #possible: Block | undefined;

  constructor(table: Table, base: Chain, packet: Packet) {
    this.#table = table;
    this.#base = base;
    this.#packet = packet;
  }

  run(): Block | undefined {
    const end = this.#chain(this.#base, 0);
    if (end.kind === "drop") return this.#block(end.rule, end.chain, !this.#unsure);
    if (end.kind === "return" && this.#base.base?.policy === "drop") {
      return this.#block(undefined, this.#base.name, !this.#unsure);
    }
    return this.#possible;
  }

  #block(rule: Rule | undefined, chain: string, certain: boolean): Block {
    return { table: this.#table, base: this.#base, rule, chain, certain };
  }

  #chain(chain: Chain, depth: number): { kind: End; rule?: Rule; chain: string } {
    for (const rule of depth > DEPTH_MAX ? [] : chain.rules) {
      const matched = this.#matches(rule);
      if (matched === "no" || rule.verdict === undefined) continue;
      const { verdict } = rule;
      if (verdict.kind === "unknown") {
        this.#unsure = true;
        continue;
      }
      if (verdict.kind === "jump" || verdict.kind === "goto") {
        const target = this.#table.chains.find(({ name }) => name === verdict.chain);
        if (target === undefined || matched === "unknown") {
          this.#unsure = true;
          continue;
        }
        const end = this.#chain(target, depth + 1);
        if (end.kind !== "return") return end;
        if (verdict.kind === "goto") return { kind: "return", chain: chain.name };
        continue;
      }
      if (matched === "unknown") {
        const drops = STOPS.has(verdict.kind);
        if (drops) this.#possible ??= this.#block(rule, chain.name, false);
        this.#unsure = true;
        continue;
      }
      const kind = STOPS.has(verdict.kind)
        ? "drop"
        : verdict.kind === "accept"
          ? "accept"
          : "return";
      return { kind, rule, chain: chain.name };
    }
    return { kind: "return", chain: chain.name };
  }

  #matches(rule: Rule): Tri {
    const all = rule.matches.map((match) => matchOf(match, this.#packet));
    if (all.includes("no")) return "no";
    return all.includes("unknown") ? "unknown" : "yes";
  }
}

function matchOf({ property, negated, among }: Match, packet: Packet): Tri {
  if (property === "unknown") return "unknown";
  const value = property === "protocol" ? "tcp" : packet[property];
  if (value === undefined) return "unknown";
  const each = among.map((one) => equal(value, one));
  const any: Tri = each.includes("yes") ? "yes" : each.includes("unknown") ? "unknown" : "no";
  if (!negated || any === "unknown") return any;
  return any === "yes" ? "no" : "yes";
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  "6": "tcp",
  ipv4: "4",
  ipv6: "6",
  ip: "4",
  ip6: "6",
};

function equal(value: string | number, other: Match["among"][number]): Tri {
  if (typeof other === "object") {
    if (typeof value !== "number") return "unknown";
    return value >= other[0] && value <= other[1] ? "yes" : "no";
  }
  if (typeof value === "number") {
    if (value === 0 && other === "root") return "yes";
    const number = Number(PROTOCOLS[String(other)] ?? other);
    return Number.isNaN(number) ? "unknown" : number === value ? "yes" : "no";
  }
  const text = String(other);
  if (text === value || PROTOCOLS[text] === value) return "yes";
  if (text.startsWith("@")) return "unknown";
  if (/[*+]$/.test(text)) return value.startsWith(text.slice(0, -1)) ? "yes" : "no";
  return text.includes("/") ? within(value, text) : "no";
}

function within(address: string, prefix: string): Tri {
  const ip = tryParseIp(address);
  try {
    return ip === undefined ? "unknown" : contains(parseCidr(prefix), ip) ? "yes" : "no";
  } catch {
    return "unknown";
  }
}
