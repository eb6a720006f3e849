/**
 * The words of nftables' language that the firewall is written in. Pure.
 */

import { isIP } from "node:net";
import type { Cidr, Ip } from "../../model/address.ts";

export const TABLE = "inet frontdesk";

/** Elements in one line of text. */
const LINE_ELEMENTS = 100;

export interface Chain {
  readonly name: string;
  /** `type filter hook …`, for a base chain. */
  readonly hook?: string;
  readonly rules: readonly string[];
}

export interface Declaration {
  readonly kind: "set" | "map";
  readonly name: string;
  readonly type: string;
  readonly interval?: boolean;
}

export function declare(
  { kind, name, type, interval }: Declaration,
  elements: Iterable<string>,
): string[] {
  const lines = inLines(elements).map((line) => `\t\t\t${line},`);
  return [
    ...[`\t${kind} ${name} {`, `\t\ttype ${type}`],
    ...(interval === true ? ["\t\tflags interval"] : []),
    ...(lines.length > 0 ? ["\t\telements = {", ...lines, "\t\t}"] : []),
    "\t}",
  ];
}

export function inLines(elements: Iterable<string>): string[] {
  const all = [...elements];
  const lines: string[] = [];
  for (let i = 0; i < all.length; i += LINE_ELEMENTS) {
    lines.push(all.slice(i, i + LINE_ELEMENTS).join(", "));
  }
  return lines;
}

export function chainText({ name, hook, rules }: Chain): string[] {
  const head = hook === undefined ? [] : [`\t\t${hook}`];
  return [`\tchain ${name} {`, ...head, ...rules.map((rule) => `\t\t${rule}`), "\t}"];
}

/** Why a packet is dropped: the comment of the rule, by which its counter is found again. */
export const DROPS = {
  outside: "outside the guest networks",
  device: "not a device of the guests",
  mac: "wrong MAC address",
  rate: "too many new connections",
  open: "too many open connections",
  admin: "the admin listener",
  beyond: "not through this router",
} as const;

export type Drop = keyof typeof DROPS;

export function drop(why: Drop, match = ""): string {
  return `${match}${match && " "}counter drop comment ${quoted(DROPS[why])}`;
}

export function oneOf(values: readonly string[]): string {
  return `{ ${[...new Set(values)].join(", ")} }`;
}

export function quoted(text: string): string {
  return `"${text}"`;
}

/** A network's id may come from a file: only harmless characters of it are written. */
export function safe(id: string): string {
  return id.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 64);
}

export function family(version: 4 | 6): "ip" | "ip6" {
  return version === 4 ? "ip" : "ip6";
}

export function versionOf(address: Ip): 4 | 6 {
  return isIP(address) === 4 ? 4 : 6;
}

export function isAny(host: Ip): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** The ranges of one version, without those that lie in another: nft refuses these. */
export function widest(cidrs: readonly Cidr[], version: number): string[] {
  const order = (a: Cidr, b: Cidr): number => {
    if (a.first !== b.first) return a.first < b.first ? -1 : 1;
    return a.last === b.last ? 0 : a.last > b.last ? -1 : 1;
  };
  const kept: Cidr[] = [];
  for (const cidr of cidrs.filter((each) => each.version === version).sort(order)) {
    // Ranges in CIDR notation are nested or apart, so the last one kept decides.
    const outer = kept.at(-1);
    if (outer === undefined || cidr.first > outer.last) kept.push(cidr);
  }
  return kept.map(({ text }) => text);
}
