/**
 * The policy as a script for nft: one table of ours, replaced whole in one transaction.
 *
 * Pure. The chains come before those that translate addresses (priority -150 is before dstnat's
 * -100), so that what a program asked for is judged, not what it was turned into. An `accept` here
 * ends only our own chain: other tables still have their say.
 */

import { tryParseIp } from "../../model/address.ts";
import { addressesOf, makePolicy, type Policy, TABLE } from "./policy.ts";

/** In the family `inet`: one table for both IP versions. */
export const NFT_TABLE = ["inet", TABLE] as const;

const PRIORITY = -150;

/** Removes the table; `add` first, so that it is no error if there is none. */
export const NFT_REMOVE: string = `add table inet ${TABLE}\ndelete table inet ${TABLE}\n`;

export function nftScript(policy: Policy): string {
  const versions = [4, 6] as const;
  const present = versions.filter((version) => addressesOf(policy, version).length > 0);
  const to = (version: 4 | 6): string =>
    `${version === 4 ? "ip" : "ip6"} daddr @endpoints${version} tcp dport @ports`;
  const lines = [
    `table inet ${TABLE} {`,
    set("users", "uid", policy.users),
    ...(policy.groups.length > 0 ? [set("groups", "gid", policy.groups)] : []),
    set("ports", "inet_service", policy.ports),
    ...present.map((version) =>
      set(`endpoints${version}`, `ipv${version}_addr`, addressesOf(policy, version)),
    ),
    "  chain output {",
    `    type filter hook output priority ${PRIORITY}; policy accept;`,
    ...present.map((version) => `    ${to(version)} jump guard`),
    "  }",
    // A container has no user of this host. What it sends is forwarded, and refused.
    "  chain forward {",
    `    type filter hook forward priority ${PRIORITY}; policy accept;`,
    ...present.map((version) => `    ${to(version)} reject with tcp reset`),
    "  }",
    "  chain guard {",
    "    meta skuid @users accept",
    ...(policy.groups.length > 0 ? ["    meta skgid @groups accept"] : []),
    "    meta skuid != @users reject with tcp reset",
    // The kernel itself ends a connection whose program has closed it: such packets have no user.
    // They pass, or an allowed user's server would wait for its last acknowledgement in vain.
    "    tcp flags & (syn | ack) == syn reject with tcp reset",
    "  }",
    "}",
  ];
  return `${NFT_REMOVE}${lines.join("\n")}\n`;
}

function set(name: string, type: string, elements: readonly (string | number)[]): string {
  return `  set ${name} { type ${type}; elements = { ${elements.join(", ")} }; }`;
}

/** The policy that a table holds, from `nft -j list table`; `undefined` if it is none of ours. */
export function policyOfNft(
  objects: readonly Readonly<Record<string, unknown>>[],
): Policy | undefined {
  const sets = new Map<string, readonly unknown[]>();
  for (const { set } of objects as readonly { set?: { name: string; elem?: unknown[] } }[]) {
    if (set !== undefined) sets.set(set.name, set.elem ?? []);
  }
  const numbers = (name: string): number[] =>
    (sets.get(name) ?? []).filter((element) => typeof element === "number");
  const addresses = ["endpoints4", "endpoints6"].flatMap((name) =>
    (sets.get(name) ?? []).flatMap((element) => tryParseIp(element) ?? []),
  );
  if (!sets.has("users") || addresses.length === 0) return undefined;
  return makePolicy({
    users: numbers("users"),
    groups: numbers("groups"),
    ports: numbers("ports"),
    addresses,
  });
}
