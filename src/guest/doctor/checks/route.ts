/** Whether the kernel knows a way to the addresses of the service. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import { LINK_LOCAL } from "../../candidates.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import { hosts, reliedOn, routerOf, uplinkOf } from "../words.ts";

type Code = "ROUTE_MISSING" | "ROUTE_REFUSES";

export const route: Check<Code> = {
  name: "route",
  title: "a route to the service",
  kinds: {
    ROUTE_MISSING: {
      title: "there is no route to the metadata service",
      severity: "error",
      advice: "add a route: a default one by DHCP, or one to this address",
      where: "guest",
      because: ["NO_ADDRESS", "ROUTE_REFUSES"],
    },
    ROUTE_REFUSES: {
      title: "a route forbids what goes to the metadata service",
      severity: "error",
      advice: "delete the route, or set one that is more specific",
      where: "guest",
    },
  },
  judge(facts) {
    const targets = reliedOn(facts).filter((target) => target.route !== undefined);
    if (targets.length === 0) return skipped("the program ip cannot tell");
    const lost = targets.filter((target) => target.route?.kind === "none");
    if (lost.length === 0) return fine(targets.map(wayOf).join("; "));
    const refusing = lost.flatMap((target) => refusalOf(facts, target));
    const missing = lost.filter(
      ({ route: way }) => way?.kind === "none" && /unreachable/.test(way.words),
    );
    const found = [...refusing, ...missingOf(facts, missing, refusing)];
    return { seen: `none to ${and(hosts(lost))}`, found };
  },
};

function wayOf({ endpoint, route: way }: Target): string {
  if (way?.kind !== "found") return endpoint.host;
  const via = way.gateway === undefined ? "" : ` via ${way.gateway}`;
  return `${endpoint.host}${via} dev ${way.device} from ${way.source ?? "?"}`;
}

/** The route that says no: `blackhole 169.254.0.0/16`. */
function refusalOf({ routes = [] }: Facts, { endpoint, route: way }: Target): Found<Code>[] {
  const types = ["blackhole", "unreachable", "prohibit"];
  const first = endpoint.host.split(".").slice(0, 2).join(".");
  const [one] = routes
    .filter(({ type, to }) => types.includes(type) && (to === "default" || to.startsWith(first)))
    .sort((a, b) => prefixOf(b.to) - prefixOf(a.to));
  if (one === undefined)
    return /unreachable/.test(words(way)) ? [] : [refusedByRule(endpoint.host, words(way))];
  const table = one.table === "main" ? "" : ` table ${one.table}`;
  const line = `${one.type} ${one.to}${table}`;
  return [
    {
      code: "ROUTE_REFUSES",
      subjects: [endpoint.host],
      seen: `the routing table has: ${line}`,
      cause: `a route of type ${one.type} covers the service's address`,
      certainty: "certain",
      remedy: [`ip route del ${line}`],
    },
  ];
}

function words(way: Target["route"]): string {
  return way?.kind === "none" ? way.words : "";
}

/** No route says no, and the kernel does: what is left are the rules that choose a table. */
function refusedByRule(host: string, said: string): Found<Code> {
  return {
    code: "ROUTE_REFUSES",
    subjects: [host],
    seen: `the kernel refuses a route to ${host}: ${said}`,
    cause: "no route forbids it, so a rule of policy routing does",
    certainty: "likely",
    remedy: ["ip rule show"],
  };
}

function prefixOf(to: string): number {
  return to === "default" ? 0 : Number(to.split("/")[1] ?? 32);
}

function missingOf(
  facts: Facts,
  missing: readonly Target[],
  refusing: readonly Found<Code>[],
): Found<Code>[] {
  const refused = refusing.flatMap(({ subjects = [] }) => subjects);
  const left = missing.filter(({ endpoint }) => !refused.includes(endpoint.host));
  if (left.length === 0) return [];
  const uplink = uplinkOf(facts);
  const device = uplink?.device ?? "eth0";
  const router = facts.leases.find(({ routers }) => routers.length > 0)?.routers[0];
  const others = left.some(({ endpoint }) => endpoint.host !== LINK_LOCAL);
  // A lease names the router: then the default route is what is missing, and it mends more.
  const remedy =
    router !== undefined
      ? `ip route replace default via ${router} dev ${word(device)}`
      : `ip route replace ${LINK_LOCAL}/32 dev ${word(device)}`;
  const gateway = routerOf(facts);
  return [
    {
      code: "ROUTE_MISSING",
      subjects: hosts(left),
      seen: `the kernel has no route to ${and(hosts(left))}: Network is unreachable`,
      cause:
        facts.gateways.length === 0
          ? "there is no default route, and none to these addresses"
          : "the routing table has a default route, but a rule or another table keeps it from use",
      certainty: facts.gateways.length === 0 ? "certain" : "possible",
      remedy: others && gateway === undefined ? [`dhclient -v ${word(device)}`] : [remedy],
      // Where another address serves, most clients do not need this one.
      ...(facts.service?.target.serves === true ? { severity: "warning" } : {}),
    },
  ];
}
