/**
 * The policy as a script for iptables-restore, and what a saved table says of it.
 *
 * Pure. Three chains of ours in `filter`; of the others we touch one rule each, the jump at the
 * head of OUTPUT and of FORWARD. Allowed packets RETURN, so that the host's own rules follow.
 */

import { type Ip, tryParseIp } from "../../model/address.ts";
import { addressesOf, makePolicy, type Policy, TABLE } from "./policy.ts";

const OUTPUT = TABLE;
const GUARD = `${TABLE}_user`;
const FORWARD = `${TABLE}_fwd`;
const CHAINS = [OUTPUT, GUARD, FORWARD] as const;

const JUMPS = [
  { from: "OUTPUT", to: OUTPUT },
  { from: "FORWARD", to: FORWARD },
] as const;

/** The host's chains, before our rules are there. */
export const EMPTY_TABLE = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n";

/**
 * The script that brings the table from `saved` (what iptables-save says) to the policy, in one
 * transaction.
 */
export function iptablesScript(policy: Policy, version: 4 | 6, saved: string): string {
  const ports = `-p tcp -m multiport --dports ${policy.ports.join(",")}`;
  const bits = version === 4 ? 32 : 128;
  const to = (address: Ip): string => `-d ${address}/${bits} ${ports}`;
  const refuse = "-j REJECT --reject-with tcp-reset";
  const addresses = addressesOf(policy, version);
  return script([
    // Naming a chain of ours empties it, or makes it.
    ...CHAINS.map((chain) => `:${chain} - [0:0]`),
    ...dropJumps(saved),
    ...JUMPS.map(({ from, to }) => `-I ${from} 1 -j ${to}`),
    ...addresses.map((address) => `-A ${OUTPUT} ${to(address)} -j ${GUARD}`),
    ...policy.users.map((id) => `-A ${GUARD} -m owner --uid-owner ${id} -j RETURN`),
    ...policy.groups.map((id) => `-A ${GUARD} -m owner --gid-owner ${id} -j RETURN`),
    `-A ${GUARD} -p tcp -m owner --socket-exists ${refuse}`,
    // As in nft-rules.ts: packets of the kernel itself have no user, and pass unless they open.
    `-A ${GUARD} -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN ${refuse}`,
    ...addresses.map((address) => `-A ${FORWARD} ${to(address)} ${refuse}`),
  ]);
}

/** The script that removes what is ours from `saved`; `undefined` if there is nothing. */
export function iptablesRemoval(saved: string): string | undefined {
  const ours = CHAINS.filter((chain) => saved.includes(`\n:${chain} `));
  const jumps = dropJumps(saved);
  if (ours.length + jumps.length === 0) return undefined;
  return script([
    ...jumps,
    ...ours.map((chain) => `-F ${chain}`),
    ...ours.map((chain) => `-X ${chain}`),
  ]);
}

/**
 * Our part of a saved table, for comparison: our chains' rules, and whether ours come first where
 * they must.
 */
export function oursIn(saved: string): string {
  const lines = saved.split("\n");
  const rules = lines.filter((line) => CHAINS.some((chain) => line.startsWith(`-A ${chain} `)));
  const heads = JUMPS.map(
    ({ from }) => lines.find((line) => line.startsWith(`-A ${from} `)) ?? `${from} is empty`,
  );
  return [...heads, ...rules].join("\n");
}

/** How many rules of others there are, and policies other than ACCEPT. */
export function rulesOfOthers(saved: string): number {
  return saved.split("\n").filter((line) => {
    if (line.startsWith("-A ")) return !line.includes(TABLE);
    return /^:[A-Z]+ (?!ACCEPT|-)/.test(line);
  }).length;
}

/** The policy that a saved table holds; `undefined` if there is none of ours. */
export function policyOfSaved(saved: string): Policy | undefined {
  const rules = saved.split("\n").filter((line) => line.startsWith(`-A ${TABLE}`));
  if (rules.length === 0) return undefined;
  const all = (pattern: RegExp): string[] => rules.flatMap((rule) => pattern.exec(rule)?.[1] ?? []);
  return makePolicy({
    users: all(/ --uid-owner (\d+)/).map(Number),
    groups: all(/ --gid-owner (\d+)/).map(Number),
    ports: all(/ --dports ([\d,]+)/).flatMap((list) => list.split(",").map(Number)),
    addresses: all(/ -d ([0-9a-f.:]+)\//).flatMap((text) => tryParseIp(text) ?? []),
  });
}

/** A delete for each jump of ours: a rule that is there twice is deleted twice. */
function dropJumps(saved: string): string[] {
  return saved.split("\n").flatMap((line) => {
    const jump = JUMPS.find(({ from, to }) => line === `-A ${from} -j ${to}`);
    return jump === undefined ? [] : [`-D ${jump.from} -j ${jump.to}`];
  });
}

function script(lines: readonly string[]): string {
  return `*filter\n${lines.join("\n")}\nCOMMIT\n`;
}
