/** What the name data-server is: cloud-init asks for it first, and takes the first address. */

import { isIPv4 } from "node:net";
import { fine } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { hosts, reliedOn, routerOf } from "../words.ts";

type Code = "DATA_SERVER_AAAA" | "DATA_SERVER_WRONG" | "DATA_SERVER_ABSENT" | "RESOLVER_SILENT";

export const dns: Check<Code> = {
  name: "dns",
  title: "the name data-server leads to the router",
  kinds: {
    DATA_SERVER_AAAA: {
      title: "data-server has an IPv6 address, of which cloud-init makes a URL that cannot work",
      severity: "error",
      advice: "have the router's DNS answer only the IPv4 address, or name it in /etc/hosts",
      where: "guest",
    },
    DATA_SERVER_WRONG: {
      title: "data-server leads to somebody who does not serve this instance",
      severity: "error",
      advice: "correct the name in the router's DNS, or name the router in /etc/hosts",
      where: "guest",
    },
    DATA_SERVER_ABSENT: {
      title: "there is no name data-server; clients must go by DHCP or the default route",
      severity: "info",
      advice: "use the router as the resolver, or name it in /etc/hosts",
      where: "guest",
      because: ["EGRESS_BLOCKED", "INGRESS_BLOCKED", "ROUTE_MISSING", "NO_ADDRESS"],
    },
    RESOLVER_SILENT: {
      title: "the resolver does not answer, which clients wait for",
      severity: "warning",
      advice: "look at /etc/resolv.conf, and at the router's DNS",
      where: "guest",
      because: [
        "EGRESS_BLOCKED",
        "INGRESS_BLOCKED",
        "ROUTE_MISSING",
        "NO_ADDRESS",
        "CONNECT_TIMEOUT",
        "NEIGHBOUR_SILENT",
        "NEIGHBOUR_FIXED",
      ],
    },
  },
  judge(facts) {
    const { addresses, silent } = facts.dataServer;
    if (facts.named) return fine("not asked: --endpoint says where");
    if (silent) return { seen: "the resolver is silent", found: [silence(facts)] };
    if (addresses.length === 0) return { seen: "no such name", found: [absent(facts)] };
    const seen = and(addresses);
    const found: Found<Code>[] = [];
    const [first = ""] = addresses;
    if (!addresses.every(isIPv4)) found.push(poison(facts, addresses));
    else if (!serves(facts, first) && facts.service?.target.serves === true) {
      found.push(wrong(facts, first));
    }
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

function serves({ targets }: Facts, host: string): boolean {
  return targets.some((target) => target.endpoint.host === host && target.serves);
}

/** /etc/hosts is asked before any server; what it says wrong already has to go first. */
function hostsLine({ dataServer }: Facts, address: string | undefined): readonly string[] {
  if (address === undefined) return [];
  const drop = dataServer.inHosts ? ["sed -i '/[[:space:]]data-server/d' /etc/hosts"] : [];
  return [...drop, `echo '${address} data-server' >> /etc/hosts`];
}

/** Who says so. */
function sourceOf({ dataServer }: Facts): string {
  return dataServer.inHosts ? "/etc/hosts" : "DNS";
}

function poison(facts: Facts, addresses: readonly string[]): Found<Code> {
  const six = addresses.filter((address) => !isIPv4(address));
  const four = addresses.filter((address) => isIPv4(address));
  const isFirst = !isIPv4(addresses[0] ?? "");
  return {
    code: "DATA_SERVER_AAAA",
    subjects: addresses,
    seen: `data-server is ${and(addresses)}${isFirst ? ", the IPv6 address first" : ""}`,
    cause: `${sourceOf(facts)} has an AAAA record of this name: ${and(six)}`,
    certainty: "certain",
    remedy: hostsLine(facts, four.find((one) => serves(facts, one)) ?? routerOf(facts)),
    // The order is the resolver's, and may be another one tomorrow.
    ...(isFirst ? {} : { severity: "warning" }),
  };
}

function wrong(facts: Facts, first: string): Found<Code> {
  const at = facts.service?.target.endpoint.host ?? "";
  return {
    code: "DATA_SERVER_WRONG",
    subjects: [first],
    seen: `data-server is ${first}, which does not serve this instance; ${at} does`,
    cause: `${sourceOf(facts)} names another machine, or one that is gone`,
    certainty: "likely",
    remedy: hostsLine(facts, routerOf(facts)),
  };
}

function absent(facts: Facts): Found<Code> {
  return {
    code: "DATA_SERVER_ABSENT",
    seen: "the resolver has no address of data-server",
    cause: "/etc/resolv.conf names other servers than the router, or the router has no such name",
    certainty: "likely",
    remedy: hostsLine(facts, routerOf(facts)),
  };
}

function silence(facts: Facts): Found<Code> {
  return {
    code: "RESOLVER_SILENT",
    subjects: hosts(reliedOn(facts)),
    seen: "asked for data-server, the resolver gave no answer within 3 s",
    cause: "the servers of /etc/resolv.conf are not reached",
    certainty: "likely",
    remedy: ["cat /etc/resolv.conf", ...hostsLine(facts, routerOf(facts))],
  };
}
