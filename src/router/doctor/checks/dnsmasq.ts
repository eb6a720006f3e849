/** Whether dnsmasq leads guests here: by the name data-server, and by DHCP where it is needed. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import { dhcpLines } from "../../dhcp-lines.ts";
import type { Check } from "../check.ts";
import type { Dnsmasq, Facts } from "../facts.ts";

type Code =
  | "DATA_SERVER_UNNAMED"
  | "DATA_SERVER_ELSEWHERE"
  | "OPTION_121_MISSING"
  | "OPTION_54_ELSEWHERE";

const KIND = { severity: "warning", where: "router" } as const;
const RESTART = "systemctl restart dnsmasq";

export const dnsmasq: Check<Code> = {
  name: "dnsmasq",
  title: "dnsmasq leads guests to this router",
  kinds: {
    DATA_SERVER_UNNAMED: {
      ...KIND,
      title: "dnsmasq has no address for data-server, by which CloudStack's clients ask",
      advice: "name the router's address among its guests in /etc/hosts",
    },
    DATA_SERVER_ELSEWHERE: {
      ...KIND,
      title: "dnsmasq sends clients that ask for data-server to another machine",
      advice: "correct the address in the hosts file that dnsmasq reads",
    },
    OPTION_121_MISSING: {
      ...KIND,
      title: "this router is not its guests' gateway, and DHCP gives no route to 169.254.169.254",
      advice: "add the lines of frontdesk router dhcp to a file of their own in /etc/dnsmasq.d",
    },
    OPTION_54_ELSEWHERE: {
      ...KIND,
      title: "DHCP names another machine as its server (option 54), which clients then ask",
      advice: "remove that option: dnsmasq names itself",
    },
  } satisfies Record<Code, FindingKind>,
  judge(facts) {
    const { dnsmasq } = facts;
    if (dnsmasq === undefined)
      return skipped("CloudStack has written no /etc/dnsmasq.d/cloud.conf");
    const found = [...names(facts, dnsmasq), ...options(facts, dnsmasq)];
    const seen = `data-server is ${and(dnsmasq.dataServer) || "not named"}`;
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

function* names(facts: Facts, { dataServer }: Dnsmasq): Generator<Found<Code>> {
  const own = facts.addresses.map(({ address }) => address);
  const router = facts.guestSides.find(({ address }) => !address.startsWith("169.254."))?.address;
  const add = router === undefined ? [] : [`echo '${router} data-server' >> /etc/hosts`, RESTART];
  if (dataServer.length === 0) {
    const seen = "no hosts file that dnsmasq reads names data-server";
    const cause = "CloudStack has not written it, or something has written the file anew";
    yield { code: "DATA_SERVER_UNNAMED", seen, cause, certainty: "likely", remedy: add };
    return;
  }
  const other = dataServer.filter((address) => !own.includes(address));
  if (other.length === 0) return;
  const seen = `data-server is ${and(other)}, no address of this machine's`;
  const cause = "the line is an old one, or of another router";
  yield {
    code: "DATA_SERVER_ELSEWHERE",
    seen,
    cause,
    certainty: "likely",
    remedy: ["grep -n data-server /etc/hosts"],
  };
}

function* options(facts: Facts, { ranges, options }: Dnsmasq): Generator<Found<Code>> {
  const has = (line: string): boolean => options.includes(line.replace(/^dhcp-option=/, ""));
  const missing = ranges.flatMap(dhcpLines).filter((line) => !has(line));
  if (missing.length > 0) {
    yield {
      code: "OPTION_121_MISSING",
      seen: `dnsmasq has not the ${missing.length === 1 ? "line" : "lines"} ${missing.join(" ")}`,
      cause: "guests send requests to 169.254.169.254 to their gateway, which is another machine",
      certainty: "certain",
      remedy: ["frontdesk router dhcp > /etc/dnsmasq.d/frontdesk.conf", RESTART],
    };
  }
  const own = facts.addresses.map(({ address }) => address);
  for (const line of options) {
    const server = /(?:^|,)(?:54|option:server-identifier),([\d.]+)$/.exec(line)?.[1];
    if (server === undefined || own.includes(server)) continue;
    const seen = `dhcp-option=${line}`;
    const cause = "somebody has set it for another server";
    const remedy = [`grep -rn ',${server}$' /etc/dnsmasq.d /etc/dnsmasq.conf`];
    yield { code: "OPTION_54_ELSEWHERE", seen, cause, certainty: "likely", remedy };
  }
}
