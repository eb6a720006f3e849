/** Whether this machine's firewall lets guests in, and whether the router's own table is there. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import type { Block, Packet, Ruleset } from "../../../platform/firewall/model.ts";
import { blockOf } from "../../../platform/firewall/walk.ts";
import { TABLE } from "../../firewall/text.ts";
import type { Check } from "../check.ts";
import type { Facts, GuestSide } from "../facts.ts";
import { reloadCommands } from "../words.ts";

type Code = "FIREWALL_ABSENT" | "INPUT_BLOCKED";

/** What a virtual router is asked on where nobody says more. */
const PORTS = [80, 8080];
/** One of those that every system gives to connections that it opens (RFC 6335: from 49152 on). */
const EPHEMERAL_PORT = 50_000;

interface Stop {
  readonly side: GuestSide;
  readonly port: number;
  readonly block: Block;
  /** Whether what this machine itself sends there is stopped too. */
  readonly isLocalToo: boolean;
}

export const firewall: Check<Code> = {
  name: "firewall",
  title: "this machine's firewall lets guests in, and ours is in force",
  kinds: {
    FIREWALL_ABSENT: {
      title: "the router should keep its own firewall table, and it is not there",
      severity: "error",
      advice: "have the router make it anew, as it does each minute; find out what has deleted it",
      where: "router",
    },
    INPUT_BLOCKED: {
      title: "a rule of somebody else's stops guests' requests to this router",
      severity: "error",
      advice: "let guests in on the router's ports, from their device",
      where: "router",
    },
  },
  judge(facts) {
    const { admin, ruleset } = facts;
    if (!facts.isRoot) return skipped("only root can read the firewall");
    if (ruleset === undefined) return skipped("neither nft nor iptables can tell");
    const isKept = admin.kind === "answers" && admin.status.firewall === "kept";
    const isThere = ruleset.some(({ name, tool }) => tool === "nft" && name === TABLE);
    const found: Found<Code>[] = [];
    if (isKept && !isThere) {
      found.push({
        code: "FIREWALL_ABSENT",
        seen: `there is no table ${TABLE}`,
        cause: "another program has flushed the ruleset, or deleted the table",
        certainty: "likely",
        remedy: reloadCommands(facts, admin.status.pid),
      });
    }
    const others = ruleset.filter(({ name }) => name !== TABLE);
    const stops = facts.guestSides.flatMap((side) => stopsAt(facts, others, side));
    found.push(...grouped(stops).map(findingOf));
    const rules = others.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules)).length;
    if (found.length > 0) return { seen: and(found.map((one) => one.code)), found };
    const own = isKept ? "our table is there, " : "";
    if (facts.guestSides.length === 0) return skipped(`${own}no network of guests is known`);
    return fine(`${own}${counted(rules, "rule")} of others, none in the way`);
  },
};

function stopsAt({ admin }: Facts, ruleset: Ruleset, side: GuestSide): readonly Stop[] {
  const listening = admin.kind === "answers" ? (admin.status.listening ?? []) : [];
  const here = listening.filter(({ host }) => host === side.address).map(({ port }) => port);
  return [...new Set(here.length === 0 ? PORTS : here)].flatMap((port) => {
    const packet: Packet = {
      family: 4,
      daddr: side.address,
      saddr: side.guest,
      dport: port,
      sport: EPHEMERAL_PORT,
      state: "new",
      uid: undefined,
      out: undefined,
      in: side.device,
    };
    const block = blockOf(ruleset, "input", packet);
    if (block === undefined) return [];
    const local = { ...packet, saddr: side.address, in: "lo" };
    return [{ side, port, block, isLocalToo: blockOf(ruleset, "input", local) !== undefined }];
  });
}

/** What one rule, or one policy, stops is one finding. */
function grouped(stops: readonly Stop[]): readonly (readonly [Stop, ...Stop[]])[] {
  const groups = new Map<string, [Stop, ...Stop[]]>();
  for (const stop of stops) {
    const { table, base, rule, chain } = stop.block;
    const id = [table.tool, table.name, base.name, chain, rule?.text ?? "policy"].join(" ");
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [stop]);
    else group.push(stop);
  }
  return [...groups.values()];
}

function findingOf(group: readonly [Stop, ...Stop[]]): Found<Code> {
  const { table, chain, rule, certain } = group[0].block;
  const tool = table.tool === "nft" ? "nftables" : table.tool;
  const place = `${tool} table ${table.name}, chain ${chain}`;
  const what =
    rule === undefined ? `the policy of ${place}, is drop` : `a rule in ${place}: ${rule.text}`;
  const subjects = group.map(({ side, port }) => `${side.address}:${port}`);
  return {
    code: "INPUT_BLOCKED",
    subjects,
    seen: what,
    cause: certain
      ? `it stops what guests send to ${and(subjects)}`
      : `it may stop what guests send to ${and(subjects)}; its text does not tell for sure`,
    certainty: certain ? "certain" : "possible",
    remedy: remedyOf(group),
    ...(certain ? {} : { severity: "warning" }),
  };
}

function remedyOf(group: readonly [Stop, ...Stop[]]): readonly string[] {
  const { table, base } = group[0].block;
  const ports = [...new Set(group.map(({ port }) => port))].join(table.tool === "nft" ? ", " : ",");
  const local = group.some(({ isLocalToo }) => isLocalToo) ? ["lo"] : [];
  const devices = [...new Set([...group.map(({ side }) => side.device), ...local])].map(word);
  if (table.tool !== "nft") {
    const start = `${table.tool} -t ${table.name} -I ${base.name}`;
    const match = `-p tcp -m multiport --dports ${ports} -j ACCEPT`;
    return devices.map((device) => `${start} -i ${device} ${match}`);
  }
  const chain = [...table.name.split(" "), base.name].map(word).join(" ");
  return devices.map(
    (device) => `nft insert rule ${chain} iifname ${device} tcp dport '{ ${ports} }' accept`,
  );
}
