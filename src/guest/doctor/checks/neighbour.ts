/** Whether the next hop answers ARP, and whether a fixed entry stands in its place. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import type { Neighbour } from "../network.ts";
import { hosts, reliedOn, routerOf, serving, uplinkOf } from "../words.ts";

type Code = "NEIGHBOUR_SILENT" | "NEIGHBOUR_FIXED" | "GATEWAY_WRONG";

export const neighbour: Check<Code> = {
  name: "neighbour",
  title: "the next hop answers ARP",
  kinds: {
    NEIGHBOUR_SILENT: {
      title: "the next hop towards the service does not answer ARP",
      severity: "error",
      advice: "see that the router runs, and that it and this instance are on one network",
      where: "router",
      because: ["NO_ADDRESS", "ROUTE_CONFLICT", "DATA_SERVER_WRONG", "LEASE_OLD_SERVER"],
    },
    GATEWAY_WRONG: {
      title: "the default route leads to nobody, and the router is another one",
      severity: "warning",
      advice: "set the default route to the router",
      where: "guest",
      because: ["NO_ADDRESS"],
    },
    NEIGHBOUR_FIXED: {
      title: "the next hop towards the service has a fixed MAC address, and does not answer",
      severity: "error",
      advice: "delete the fixed entry; ARP finds the right one",
      where: "guest",
    },
  },
  judge(facts) {
    const { neighbours } = facts;
    if (neighbours === undefined) return skipped("the program ip cannot tell");
    const hops = hopsOf(facts);
    if (hops.length === 0) return skipped("no route, so no next hop");
    const found = hops.flatMap(({ hop, device, targets }): Found<Code>[] => {
      const entry = neighbours.find((one) => one.address === hop && one.device === device);
      const lost = targets.filter(({ connect }) =>
        ["timeout", "unreachable"].includes(connect.kind),
      );
      if (entry === undefined || lost.length < targets.length) return [];
      if (entry.state === "PERMANENT") return [fixed(entry, lost)];
      return ["FAILED", "INCOMPLETE"].includes(entry.state) ? [silent(facts, entry, lost)] : [];
    });
    const seen = hops.map(({ hop, device }) => {
      const entry = neighbours.find((one) => one.address === hop && one.device === device);
      return `${hop} ${entry === undefined ? "unknown" : (entry.mac ?? entry.state.toLowerCase())}`;
    });
    return found.length === 0 ? fine(seen.join(", ")) : { seen: seen.join(", "), found };
  },
};

interface Hop {
  readonly hop: string;
  readonly device: string;
  readonly targets: readonly Target[];
}

function hopsOf(facts: Facts): readonly Hop[] {
  const hops = new Map<string, Hop>();
  for (const target of reliedOn(facts)) {
    const { route, endpoint } = target;
    if (route?.kind !== "found" || route.local) continue;
    const hop = route.gateway ?? endpoint.host;
    const id = `${hop} ${route.device}`;
    const targets = [...(hops.get(id)?.targets ?? []), target];
    hops.set(id, { hop, device: route.device, targets });
  }
  return [...hops.values()];
}

function fixed({ address, device, mac }: Neighbour, lost: readonly Target[]): Found<Code> {
  return {
    code: "NEIGHBOUR_FIXED",
    subjects: hosts(lost),
    seen: `${address} is ${mac} by a fixed entry on ${device}, and ${and(hosts(lost))} is silent`,
    cause: "the entry may be of a router that has been replaced",
    certainty: "likely",
    remedy: [`ip neigh del ${address} dev ${word(device)}`],
  };
}

function silent(
  facts: Facts,
  { address, device }: Neighbour,
  lost: readonly Target[],
): Found<Code> {
  const isLinkLocal = address.startsWith("169.254.");
  const router = routerOf(facts);
  const isGateway = facts.gateways.some((one) => one.address === address);
  const named = facts.leases.some(({ routers }) => routers.includes(address));
  if (
    isGateway &&
    !named &&
    router !== undefined &&
    router !== address &&
    servesAt(facts, router)
  ) {
    return {
      code: "GATEWAY_WRONG",
      subjects: hosts(lost),
      seen: `the default route goes via ${address}, which does not answer ARP; ${router} serves`,
      cause: "the route was set by hand, or is of another network",
      certainty: "likely",
      remedy: [`ip route replace default via ${router} dev ${word(device)}`],
    };
  }
  const serves = facts.service?.target.serves === true;
  const uplink = uplinkOf(facts);
  const from = uplink === undefined ? "" : ` (asked from ${uplink.address})`;
  const cause = isLinkLocal
    ? `the router does not have the address ${address}, or is not on ${device}`
    : "the router is down, or not on this network";
  // On CloudStack's own router nobody has the link-local address; its clients do not ask there.
  const remedy =
    isLinkLocal && !serves
      ? [`ip address add ${address}/32 dev eth0`]
      : isLinkLocal
        ? []
        : ["ip -br address", "ip link set dev eth0 up"];
  return {
    code: "NEIGHBOUR_SILENT",
    subjects: hosts(lost),
    seen: `nobody on ${device} answers ARP for ${address}${from}`,
    cause,
    certainty: "likely",
    remedy,
    ...(serves ? { severity: "info" } : {}),
  };
}

function servesAt(facts: Facts, host: string): boolean {
  return serving(facts).some(({ endpoint }) => endpoint.host === host);
}
