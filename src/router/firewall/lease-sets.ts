/**
 * Who may ask from which address: sets of the table, which change alone, and the rules that look
 * into them. Pure.
 */

import { enforcedLeases, type FirewallSettings, type Lease } from "./settings.ts";
import { type Chain, declare, drop, family, inLines, quoted, TABLE, versionOf } from "./text.ts";

/**
 * The sets that leases are in: who has one, and with which MAC address. Beside them, for addresses
 * without a lease, whom the router has learnt to have them, and where.
 */
const LEASE_SETS = {
  leased4: "ipv4_addr",
  leased6: "ipv6_addr",
  pairs4: "ipv4_addr . ether_addr",
  pairs6: "ipv6_addr . ether_addr",
  learned4: "ifname . ipv4_addr",
  learned6: "ifname . ipv6_addr",
  learnedpairs4: "ifname . ipv4_addr . ether_addr",
  learnedpairs6: "ifname . ipv6_addr . ether_addr",
} as const;

export type LeaseSet = keyof typeof LEASE_SETS;

/** Elements of each set. */
export type LeaseElements = Readonly<Record<LeaseSet, ReadonlySet<string>>>;

/** Lines that add or delete elements of a set, for `nft -f`. */
export function elementLines(
  verb: "add" | "delete",
  set: LeaseSet,
  elements: Iterable<string>,
): string[] {
  return inLines(elements).map((line) => `${verb} element ${TABLE} ${set} { ${line} }`);
}

export function leaseElements(settings: FirewallSettings): LeaseElements {
  const names = Object.keys(LEASE_SETS) as LeaseSet[];
  const sets = Object.fromEntries(names.map((name) => [name, new Set<string>()])) as Record<
    LeaseSet,
    Set<string>
  >;
  for (const lease of enforcedLeases(settings)) {
    for (const [set, element] of elementsOf(lease)) sets[set].add(element);
  }
  return sets;
}

function elementsOf({ address, mac, device }: Lease): readonly (readonly [LeaseSet, string])[] {
  const version = versionOf(address);
  if (device !== undefined) {
    const place = `${quoted(device)} . ${address}`;
    return [
      [`learned${version}`, place],
      [`learnedpairs${version}`, `${place} . ${mac}`],
    ];
  }
  return [
    [`leased${version}`, address],
    [`pairs${version}`, `${address} . ${mac}`],
  ];
}

/** The transaction by which leases go and come, an address perhaps from one MAC to another. */
export function leaseLines(gone: readonly Lease[], come: readonly Lease[]): string {
  const lines = (verb: "add" | "delete", leases: readonly Lease[]): string[] =>
    leases.flatMap((lease) =>
      elementsOf(lease).flatMap(([set, element]) => elementLines(verb, set, [element])),
    );
  return `${[...lines("delete", gone), ...lines("add", come)].join("\n")}\n`;
}

export function leaseSets(leases: LeaseElements): string[] {
  return Object.entries(LEASE_SETS).flatMap(([name, type]) =>
    declare({ kind: "set", name, type }, leases[name as LeaseSet]),
  );
}

/** The first packet of a connection. */
export const SYN = "tcp flags syn / fin,syn,rst,ack";

/** A request comes within seconds of its connection's first packet. Seconds. */
const ASKED_SECONDS = 60;

/**
 * From which MAC address connections really came: what neighbours say of an address is only what
 * guests say, and a reply can be read by others than its owner.
 */
export function askedSets(size: number): string[] {
  return ([4, 6] as const).flatMap((version) => [
    ...[`\tset asked${version} {`, `\t\ttype ifname . ipv${version}_addr . ether_addr`],
    ...[`\t\tsize ${size}`, "\t\tflags dynamic,timeout", `\t\ttimeout ${ASKED_SECONDS}s`, "\t}"],
  ]);
}

export function askedRules(): string[] {
  return ([4, 6] as const).map((version) => {
    const ip = `${family(version)} saddr`;
    const set = `update @asked${version} { iifname . ${ip} . ether saddr }`;
    return `${ip} != @leased${version} ${SYN} ${set}`;
  });
}

/** For `nft get element`: fails where nobody has asked so. */
export function askedElement({ address, mac }: Lease, device: string): readonly string[] {
  const element = `{ ${quoted(device)} . ${address} . ${mac} }`;
  return ["get", "element", ...TABLE.split(" "), `asked${versionOf(address)}`, element];
}

/** A packet from an address that is in one of the sets. */
export function leasedChain(): Chain {
  return {
    name: "leased",
    rules: [
      "ip saddr . ether saddr @pairs4 return",
      "ip6 saddr . ether saddr @pairs6 return",
      "iifname . ip saddr . ether saddr @learnedpairs4 return",
      "iifname . ip6 saddr . ether saddr @learnedpairs6 return",
      drop("mac"),
    ],
  };
}
