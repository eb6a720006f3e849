/** Rulesets of nftables and of iptables, and what they do with a request of root's. */

import { expect, test } from "bun:test";
import { tablesOfIptables } from "./iptables-lines.ts";
import type { Packet, Ruleset } from "./model.ts";
import { tablesOfNft } from "./nft-json.ts";
import { blockOf } from "./walk.ts";

const REQUEST: Packet = {
  family: 4,
  daddr: "169.254.169.254",
  saddr: "10.1.1.57",
  dport: 80,
  sport: undefined,
  state: "new",
  uid: 0,
  out: "eth0",
  in: undefined,
};

/** The rule that stops it, with a question mark where it only may; `passes`; `policy`. */
function outcome(ruleset: Ruleset): string {
  const block = blockOf(ruleset, "output", REQUEST);
  if (block === undefined) return "passes";
  return `${block.rule?.text ?? "policy"}${block.certain ? "" : "?"}`;
}

// biome-ignore format: a table reads best with one line for each case
const LINES: readonly (readonly [policy: string, rules: readonly string[], expected: string])[] = [
  ["ACCEPT", [], "passes"],
  ["DROP", [], "policy"],
  ["DROP", ["-o lo -j ACCEPT"], "policy"],
  ["DROP", ["-o eth+ -j ACCEPT"], "passes"],
  ["DROP", ["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"], "policy"],
  ["DROP", ["-p tcp -m tcp --dport 1:1024 -j ACCEPT"], "passes"],
  ["ACCEPT", ["-d 169.254.0.0/16 -p tcp -j REJECT --reject-with tcp-reset"], "-A OUTPUT -d 169.254.0.0/16 -p tcp -j REJECT --reject-with tcp-reset"],
  ["ACCEPT", ["! -d 10.0.0.0/8 -j DROP"], "-A OUTPUT ! -d 10.0.0.0/8 -j DROP"],
  ["ACCEPT", ["-p udp -j DROP"], "passes"],
  ["ACCEPT", ["-m owner --uid-owner 1000 -j DROP"], "passes"],
  ["ACCEPT", ["-m owner ! --uid-owner 1000 -j DROP"], "-A OUTPUT -m owner ! --uid-owner 1000 -j DROP"],
  ["ACCEPT", ["-m string --algo bm --string x -j DROP"], "-A OUTPUT -m string --algo bm --string x -j DROP?"],
  ["ACCEPT", ["-m string --algo bm --string x -j ACCEPT", "-j DROP"], "-A OUTPUT -j DROP?"],
  ["ACCEPT", ["-j LOG --log-prefix \"a b \"", "-j DROP"], "-A OUTPUT -j DROP?"],
  ["ACCEPT", ["-j chain"], "-A chain -p tcp -m multiport --dports 80,8080 -j DROP"],
  ["DROP", ["-g back"], "policy"],
  ["ACCEPT", ["-m comment --comment \"-j DROP\" -j ACCEPT"], "passes"],
];

for (const [policy, rules, expected] of LINES) {
  test(`iptables: ${policy} ${rules.join("; ")}`, () => {
    const saved = [
      "*filter",
      `:OUTPUT ${policy} [0:0]`,
      ":chain - [0:0]",
      ":back - [0:0]",
      ...rules.map((rule) => `-A OUTPUT ${rule}`),
      "-A chain -p tcp -m multiport --dports 80,8080 -j DROP",
      "-A back -j RETURN",
      "COMMIT",
      "",
    ].join("\n");
    expect(outcome(tablesOfIptables(saved, { family: 4, tool: "iptables" }))).toBe(expected);
  });
}

const match = (left: unknown, right: unknown, op = "=="): unknown => ({
  match: { op, left, right },
});
const field = (protocol: string, name: string): unknown => ({ payload: { protocol, field: name } });
const DADDR = field("ip", "daddr");
const DPORT = field("tcp", "dport");
const STATE = { ct: { key: "state" } };
const DROP = { drop: null };
const ACCEPT = { accept: null };

// biome-ignore format: a table reads best with one line for each case
const EXPRESSIONS: readonly (readonly [name: string, policy: string, rules: readonly (readonly unknown[])[], expected: string])[] = [
  ["an address", "accept", [[match(DADDR, "169.254.169.254"), DROP]], "rule 1"],
  ["another address", "accept", [[match(DADDR, "169.254.169.253"), DROP]], "passes"],
  ["a prefix, negated", "accept", [[match(DADDR, { prefix: { addr: "10.0.0.0", len: 8 } }, "!="), DROP]], "rule 1"],
  ["a set in place", "accept", [[match(DPORT, { set: [22, 80] }), DROP]], "rule 1"],
  ["a set with ranges", "accept", [[match(DPORT, { set: [{ range: [1, 100] }] }), DROP]], "rule 1"],
  ["a named set", "accept", [[match(DADDR, "@private"), { reject: { type: "tcp reset" } }]], "rule 1"],
  ["a named set that is not there", "accept", [[match(DADDR, "@gone"), DROP]], "rule 1?"],
  ["a verdict map", "drop", [[{ vmap: { key: STATE, data: { set: [["established", ACCEPT], ["invalid", DROP]] } } }]], "policy"],
  ["a verdict map that accepts", "drop", [[{ vmap: { key: STATE, data: { set: [["new", ACCEPT]] } } }]], "passes"],
  ["a verdict map with a name", "drop", [[{ vmap: { key: STATE, data: "@verdicts" } }]], "policy?"],
  ["a bitwise match", "accept", [[match({ "&": [field("tcp", "flags"), 2] }, 2), DROP]], "rule 1?"],
  ["a rate", "drop", [[{ limit: { rate: 1, per: "second" } }, ACCEPT]], "policy?"],
  ["a jump", "accept", [[{ jump: { target: "web" } }]], "rule 9"],
  ["a counter alone", "accept", [[{ counter: { packets: 0, bytes: 0 } }]], "passes"],
  ["a redirection", "accept", [[match(DADDR, "169.254.169.254"), { redirect: { port: 9 } }]], "rule 1"],
  ["root by name", "drop", [[match({ meta: { key: "skuid" } }, "root"), ACCEPT]], "passes"],
  ["IPv6 alone", "accept", [[match({ meta: { key: "nfproto" } }, "ipv6"), DROP]], "passes"],
];

for (const [name, policy, rules, expected] of EXPRESSIONS) {
  test(`nftables: ${name}`, () => {
    const own = { family: "inet", table: "filter" };
    const chain = { ...own, name: "output", type: "filter", hook: "output", prio: 0, policy };
    const items = [
      { metainfo: { json_schema_version: 1 } },
      { table: { family: "inet", name: "filter" } },
      { chain },
      { chain: { ...own, name: "web" } },
      { set: { ...own, name: "private", elem: [{ prefix: { addr: "169.254.0.0", len: 16 } }] } },
      ...rules.map((expr, index) => ({
        rule: { ...own, chain: "output", handle: index + 1, expr },
      })),
      { rule: { ...own, chain: "web", handle: 9, expr: [match(DPORT, 80), DROP] } },
    ];
    expect(outcome(tablesOfNft(JSON.stringify({ nftables: items }), ""))).toBe(expected);
  });
}

test("a rule is shown in the words of its program, without its counter", () => {
  const json = {
    nftables: [
      { table: { family: "ip", name: "t" } },
      { chain: { family: "ip", table: "t", name: "c", type: "filter", hook: "output", prio: 0 } },
      { rule: { family: "ip", table: "t", chain: "c", handle: 4, expr: [DROP] } },
    ],
  };
  const words =
    "table ip t { # handle 1\n\tchain c { # handle 2\n\t\ttcp dport 80 counter packets 1 bytes 60 drop # handle 4\n\t}\n}\n";
  expect(outcome(tablesOfNft(JSON.stringify(json), words))).toBe("tcp dport 80 drop");
});

test("tables are asked by priority, and an accept ends only its own", () => {
  const raw = "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n";
  const filter = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j DROP\nCOMMIT\n";
  const tables = tablesOfIptables(filter + raw, { family: 4, tool: "iptables" });
  expect(outcome(tables)).toBe("-A OUTPUT -j DROP");
});
