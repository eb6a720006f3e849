/** Whether a connection comes about: refused, unreachable and silent are three different things. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Spoken } from "../../../platform/speak.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import { hosts, RESTART_SERVICE, reliedOn } from "../words.ts";

type Code = "CONNECT_REFUSED" | "CONNECT_UNREACHABLE" | "CONNECT_TIMEOUT";

const LOCAL = [
  "NO_ADDRESS",
  "ROUTE_MISSING",
  "ROUTE_REFUSES",
  "ROUTE_CONFLICT",
  "LINK_LOCAL_TAKEN",
];
const BECAUSE = [
  ...LOCAL,
  "EGRESS_BLOCKED",
  "INGRESS_BLOCKED",
  "NEIGHBOUR_SILENT",
  "NEIGHBOUR_FIXED",
  "GATEWAY_WRONG",
  "SOURCE_LINK_LOCAL",
];

export const connect: Check<Code> = {
  name: "connect",
  title: "the service takes connections",
  kinds: {
    CONNECT_REFUSED: {
      title: "the connection is refused",
      severity: "error",
      advice: "restart the metadata service on the router",
      where: "router",
      because: BECAUSE,
    },
    CONNECT_UNREACHABLE: {
      title: "the service cannot be reached",
      severity: "error",
      advice: "look at routes here, and at the router",
      where: "router",
      because: BECAUSE,
    },
    CONNECT_TIMEOUT: {
      title: "the service does not answer a connection",
      severity: "error",
      advice: "look at the firewalls on the way, and at the router",
      where: "router",
      because: BECAUSE,
    },
  },
  judge(facts) {
    const targets = reliedOn(facts);
    if (targets.length === 0) return skipped("no address is known");
    const open = targets.filter(({ connect: { kind } }) => kind === "open");
    const seen = targets
      .map(({ endpoint, connect: { kind, ms } }) => `${endpoint.host} ${kind} in ${ms} ms`)
      .join(", ");
    if (open.length === targets.length) return fine(seen);
    const found = (["refused", "unreachable", "timeout"] as const).flatMap((kind) => {
      const these = targets.filter(({ connect: one }) => one.kind === kind);
      return these.length === 0 ? [] : [failure(facts, kind, these)];
    });
    return { seen, found };
  },
};

function failure(
  facts: Facts,
  kind: "refused" | "unreachable" | "timeout",
  targets: readonly Target[],
): Found<Code> {
  const where = and(targets.map(({ endpoint }) => endpoint.url));
  const [first] = targets;
  const code = first?.connect.code ?? "";
  const look = `ss -ltn 'sport = :${first?.endpoint.port ?? 80}'`;
  // Where another address serves, this one is only noted: CloudStack's router has no other.
  const serves = facts.service?.target.serves === true;
  const severity = serves ? { severity: "info" as const } : {};
  const subjects = hosts(targets);
  const unread = facts.ruleset === undefined ? "; the firewall here could not be read" : "";
  switch (kind) {
    case "refused":
      return {
        code: "CONNECT_REFUSED",
        subjects,
        seen: `${where}: the connection is refused at once (${code})`,
        cause: `the service on the router does not run, or a firewall refuses for it${unread}`,
        certainty: unread === "" ? "likely" : "possible",
        remedy: [RESTART_SERVICE],
        ...severity,
      };
    case "unreachable":
      return {
        code: "CONNECT_UNREACHABLE",
        subjects,
        seen: `${where}: not to be reached (${code})`,
        cause: `a route here or a router on the way says no${unread}`,
        certainty: "possible",
        remedy: [look],
        ...severity,
      };
    case "timeout":
      return {
        code: "CONNECT_TIMEOUT",
        subjects,
        seen: `${where}: no answer within ${seconds(first?.connect)} s, packets are lost`,
        cause: `a firewall on the way, the virtual switch, or the router drops them${unread}`,
        certainty: "possible",
        remedy: [look, "nft list ruleset", "iptables-save"],
        ...severity,
      };
  }
}

function seconds(spoken: Spoken | undefined): string {
  return ((spoken?.ms ?? 0) / 1000).toFixed(1);
}
