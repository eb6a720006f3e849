/**
 * Default gateways and interfaces, as the kernel shows them under /proc/net.
 */

import type { System } from "./system.ts";

export interface Gateway {
  /** An address as a socket takes it; a link-local one with its zone. */
  readonly address: string;
  readonly device: string;
  /** The kernel prefers the lowest. */
  readonly metric: number;
}

/** RTF_UP | RTF_GATEWAY, see linux/route.h. */
const UP_GATEWAY = 0x3;
const LINES_MAX = 4096;
const ANY6 = "0".repeat(32);

/** IPv4's before IPv6's, the lowest metric first. */
export function defaultGateways(system: System): readonly Gateway[] {
  const byMetric = (a: Gateway, b: Gateway): number => a.metric - b.metric;
  return [...gateways4(system).sort(byMetric), ...gateways6(system).sort(byMetric)];
}

/** Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …; numbers in host order. */
function gateways4(system: System): Gateway[] {
  const found: Gateway[] = [];
  for (const fields of rows(system, "/proc/net/route")) {
    const [device = "", destination, gateway = "", flags = "", , , metric = "", mask] = fields;
    if (destination !== "00000000" || mask !== "00000000") continue;
    const isGateway = (Number.parseInt(flags, 16) & UP_GATEWAY) === UP_GATEWAY;
    if (!isGateway || !/^[0-9A-Fa-f]{8}$/.test(gateway)) continue;
    // The kernel prints the word as this machine stores it: little-endian, wherever we run.
    const octets = [3, 2, 1, 0].map((i) => Number.parseInt(gateway.slice(i * 2, i * 2 + 2), 16));
    found.push({ address: octets.join("."), device, metric: Number(metric) || 0 });
  }
  return found;
}

/** Columns: destination length source length gateway metric refcount use flags device; hex. */
function gateways6(system: System): Gateway[] {
  const found: Gateway[] = [];
  for (const fields of rows(system, "/proc/net/ipv6_route")) {
    const [destination, length, , , gateway = "", metric = "", , , flags = "", device = ""] =
      fields;
    if (destination !== ANY6 || length !== "00" || gateway === ANY6) continue;
    const isGateway = (Number.parseInt(flags, 16) & UP_GATEWAY) === UP_GATEWAY;
    const text = isGateway ? ipv6Of(gateway) : undefined;
    if (text === undefined) continue;
    const zone = /^fe[89ab]/.test(text) ? `%${device}` : "";
    found.push({ address: text + zone, device, metric: Number.parseInt(metric, 16) || 0 });
  }
  return found;
}

/**
 * Interfaces with a link-local IPv6 address, but for loopback. Columns of /proc/net/if_inet6:
 * address index length scope flags name.
 */
export function ipv6Interfaces(system: System): readonly string[] {
  const names = rows(system, "/proc/net/if_inet6")
    .filter(([address = ""]) => address.startsWith("fe80"))
    .map((fields) => fields[5] ?? "")
    .filter((name) => /^[\w.@-]{1,15}$/.test(name));
  return [...new Set(names)].sort();
}

/** The name of an interface by its number, from /sys/class/net. */
export function interfaceOf(system: System, index: string): string | undefined {
  return system.list("/sys/class/net").find((name) => {
    return system.read(`/sys/class/net/${name}/ifindex`)?.toString().trim() === index;
  });
}

function rows(system: System, path: string): string[][] {
  const lines = system.read(path)?.toString("latin1").split("\n", LINES_MAX) ?? [];
  return lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields.length > 1);
}

/** 32 hex digits as an address in canonical form (RFC 5952). */
function ipv6Of(digits: string): string | undefined {
  if (!/^[0-9A-Fa-f]{32}$/.test(digits)) return undefined;
  const groups = digits.toLowerCase().match(/.{4}/g) ?? [];
  const text = groups.map((group) => group.replace(/^0{1,3}/, "")).join(":");
  // The first of the longest runs of zeros becomes `::`.
  const runs = text.match(/\b0(:0)+\b/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "");
  if (longest === "") return text;
  const at = text.search(new RegExp(`\\b${longest}\\b`));
  const before = text.slice(0, at).replace(/:$/, "");
  const after = text.slice(at + longest.length).replace(/^:/, "");
  return `${before}::${after}`;
}
