/** Who else uses 169.254.0.0/16 here: this instance itself, a bridge, a second network card. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import { word } from "../../../observe/doctor/words.ts";
import { LINK_LOCAL } from "../../candidates.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { uplinkOf } from "../words.ts";

type Code = "LINK_LOCAL_TAKEN" | "ROUTE_CONFLICT";

export const conflict: Check<Code> = {
  name: "conflict",
  title: "nobody else uses 169.254.0.0/16",
  kinds: {
    LINK_LOCAL_TAKEN: {
      title: "169.254.169.254 is an address of this instance itself",
      severity: "error",
      advice: "remove the address, or stop the program that has set it",
      where: "guest",
    },
    ROUTE_CONFLICT: {
      title: "169.254.169.254 is routed to another device than the router",
      severity: "warning",
      advice: "remove the route, or set a more specific one towards the router",
      where: "guest",
    },
  },
  judge(facts) {
    const target = facts.targets.find(({ endpoint }) => endpoint.host === LINK_LOCAL);
    const way = target?.route;
    if (way?.kind !== "found") return skipped("no route to 169.254.169.254 to look at");
    if (way.local) return taken(facts);
    const uplink = uplinkOf(facts);
    if (target?.serves === true || uplink === undefined || way.device === uplink.device) {
      return fine(`169.254.169.254 goes out on ${way.device}`);
    }
    const gateway = facts.gateways.find(({ device }) => device === uplink.device)?.address;
    const via = gateway === undefined ? "" : ` via ${gateway}`;
    const better = `ip route replace ${LINK_LOCAL}/32${via} dev ${word(uplink.device)}`;
    const seen = `169.254.169.254 goes out on ${way.device}, the router is on ${uplink.device}`;
    return {
      seen,
      found: [
        {
          code: "ROUTE_CONFLICT",
          subjects: [LINK_LOCAL],
          seen,
          cause: `${lineOf(facts, way.device)} has taken the link-local network to ${way.device}`,
          certainty: "likely",
          remedy: [better],
          ...(facts.service?.target.serves === true ? {} : { severity: "error" }),
        },
      ],
    };
  },
};

function taken(facts: Facts): ReturnType<Check<Code>["judge"]> {
  const one = facts.addresses?.find(({ address }) => address === LINK_LOCAL);
  const device = one?.device ?? "lo";
  return {
    seen: `169.254.169.254 is this instance's own, on ${device}`,
    found: [
      {
        code: "LINK_LOCAL_TAKEN",
        subjects: [LINK_LOCAL],
        seen: `${device} has the address ${LINK_LOCAL}/${one?.prefix ?? 32}`,
        cause: "requests to it never leave this instance",
        certainty: "certain",
        remedy: [`ip address del ${LINK_LOCAL}/${one?.prefix ?? 32} dev ${word(device)}`],
      },
    ],
  };
}

function lineOf({ routes = [] }: Facts, device: string): string {
  const one = routes.find(({ to, device: on }) => on === device && to.startsWith("169.254."));
  return one === undefined ? "a route" : `the route ${one.to} dev ${device}`;
}
