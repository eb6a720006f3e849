/** Whether this instance's own firewall stops requests or their answers, and which rule does. */

import { isIP } from "node:net";
import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import type { Block, Packet, Ruleset } from "../../../platform/firewall/model.ts";
import { blockOf } from "../../../platform/firewall/walk.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import { reliedOn } from "../words.ts";

type Code = "EGRESS_BLOCKED" | "INGRESS_BLOCKED";
type Hook = "output" | "input";

/** 80 for metadata, 8080 for the password. */
const PORTS = [80, 8080];
/** One of those that every system gives to connections that it opens (RFC 6335: from 49152 on). */
const EPHEMERAL_PORT = 50_000;

export const egress: Check<Code> = {
  name: "egress",
  title: "this instance's own firewall lets requests out, and answers in",
  kinds: {
    EGRESS_BLOCKED: {
      title: "this instance's own firewall stops requests to the service",
      severity: "error",
      advice: "let requests to these addresses out, ports 80 and 8080",
      where: "guest",
      because: ["NO_ADDRESS", "ROUTE_MISSING", "ROUTE_REFUSES"],
    },
    INGRESS_BLOCKED: {
      title: "this instance's own firewall stops the service's answers",
      severity: "error",
      advice: "let answers of connections that this instance has opened in",
      where: "guest",
      because: ["NO_ADDRESS", "ROUTE_MISSING", "ROUTE_REFUSES"],
    },
  },
  judge(facts) {
    const { ruleset } = facts;
    if (!facts.isRoot) return skipped("only root can read the firewall");
    if (ruleset === undefined) return skipped("neither nft nor iptables can tell");
    // A connection that stands has passed: what is sure to stop it does not; a rate still may.
    const lost = reliedOn(facts).filter(
      ({ connect, listing }) => connect.kind !== "open" || listing?.kind === "timeout",
    );
    const stopped = lost
      .flatMap((target) => stopsOf(facts, ruleset, target))
      .filter(({ target, block }) => target.connect.kind !== "open" || !block.certain);
    const rules = ruleset.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules)).length;
    if (stopped.length === 0)
      return fine(rules === 0 ? "no rules" : `${counted(rules, "rule")}, none in the way`);
    const found = grouped(stopped).map((group) => findingOf(facts, group));
    return { seen: `stops ${and(stopped.map(({ target }) => target.endpoint.host))}`, found };
  },
};

interface Stop {
  readonly hook: Hook;
  readonly target: Target;
  readonly block: Block;
}

function stopsOf(facts: Facts, ruleset: Ruleset, target: Target): Stop[] {
  const family = isIP(target.endpoint.host.replace(/%.*/, "")) === 6 ? 6 : 4;
  const there = target.endpoint.host.replace(/%.*/, "");
  const way = target.route?.kind === "found" ? target.route : undefined;
  const { port } = target.endpoint;
  const base = { family, uid: facts.isRoot ? 0 : undefined } as const;
  const out: Packet = {
    ...base,
    daddr: there,
    saddr: way?.source,
    dport: port,
    sport: EPHEMERAL_PORT,
    state: "new",
    out: way?.device,
    in: undefined,
  };
  const back: Packet = {
    ...base,
    daddr: way?.source ?? "",
    saddr: there,
    dport: EPHEMERAL_PORT,
    sport: port,
    state: "established",
    out: undefined,
    in: way?.device,
  };
  const asked = blockOf(ruleset, "output", out);
  if (asked?.certain === true) return [{ hook: "output", target, block: asked }];
  const answered = blockOf(ruleset, "input", back);
  if (answered?.certain === true) return [{ hook: "input", target, block: answered }];
  if (asked !== undefined) return [{ hook: "output", target, block: asked }];
  return answered === undefined ? [] : [{ hook: "input", target, block: answered }];
}

/** What one rule, or one policy, stops is one finding. */
function grouped(stops: readonly Stop[]): readonly (readonly Stop[])[] {
  const groups = new Map<string, Stop[]>();
  for (const stop of stops) {
    const { table, base, rule } = stop.block;
    const id = [stop.hook, table.tool, table.name, base.name, rule?.text ?? "policy"].join(" ");
    groups.set(id, [...(groups.get(id) ?? []), stop]);
  }
  return [...groups.values()];
}

function findingOf(facts: Facts, group: readonly Stop[]): Found<Code> {
  const [{ hook, block } = group[0] as Stop] = group;
  const all = group.map(({ target }) => target.endpoint.host.replace(/%.*/, ""));
  const subjects = group.map(({ target }) => target.endpoint.host);
  const { table, chain, rule, base, certain } = block;
  const tool = table.tool === "nft" ? "nftables" : table.tool;
  const place = `${tool} table ${table.name}, chain ${chain}`;
  const what =
    rule === undefined ? `the policy of ${place}, is drop` : `a rule in ${place}: ${rule.text}`;
  const words = hook === "output" ? "requests to" : "answers from";
  const does = rule?.verdict?.kind === "divert" ? "redirect" : "stop";
  const serves = facts.service?.target.serves === true;
  const sure = certain ? `it ${does}s` : `it may ${does}, which its text does not tell for sure:`;
  return {
    code: hook === "output" ? "EGRESS_BLOCKED" : "INGRESS_BLOCKED",
    subjects,
    seen: `${what}; ${and(subjects)} ${subjects.length === 1 ? "does" : "do"} not answer`,
    cause: `${sure} ${words} ${and(all)}`,
    certainty: certain ? "certain" : "possible",
    remedy: remedyOf(hook, { table, base }, all),
    ...(serves ? { severity: certain ? "warning" : "info" } : {}),
  };
}

function remedyOf(
  hook: Hook,
  { table, base }: Pick<Block, "table" | "base">,
  all: readonly string[],
): readonly string[] {
  const address = hook === "output" ? "daddr" : "saddr";
  const port = hook === "output" ? "dport" : "sport";
  if (table.tool !== "nft") {
    const ports = PORTS.join(",");
    const flag = hook === "output" ? "-d" : "-s";
    const chain = `${table.tool} -t ${table.name} -I ${base.name}`;
    return [`${chain} ${flag} ${all.join(",")} -p tcp -m multiport --${port}s ${ports} -j ACCEPT`];
  }
  return ([4, 6] as const).flatMap((family) => {
    const these = all.filter((one) => isIP(one) === family);
    if (these.length === 0) return [];
    const match = `${family === 4 ? "ip" : "ip6"} ${address} '{ ${these.join(", ")} }'`;
    const ports = `tcp ${port} '{ ${PORTS.join(", ")} }'`;
    const place = table.name.split(" ").map(word).join(" ");
    return [`nft insert rule ${place} ${word(base.name)} ${match} ${ports} accept`];
  });
}
