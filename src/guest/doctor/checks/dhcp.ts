/** What the leases say of the router: its address is option 54, and they should agree on it. */

import { isIPv4 } from "node:net";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Lease } from "../../leases/lease.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { routerOf, serving } from "../words.ts";

type Code = "LEASE_NO_SERVER" | "LEASES_DISAGREE" | "LEASE_OLD_SERVER";

export const dhcp: Check<Code> = {
  name: "dhcp",
  title: "the DHCP lease names the router",
  kinds: {
    LEASE_NO_SERVER: {
      title: "the lease does not say who gave it (no option 54)",
      severity: "warning",
      advice: "have the DHCP server send option 54, or name the router in /etc/hosts",
      where: "guest",
    },
    LEASES_DISAGREE: {
      title: "leases of one interface name different servers",
      severity: "warning",
      advice: "see whether a second DHCP server is on the network; remove old lease files",
      where: "guest",
    },
    LEASE_OLD_SERVER: {
      title: "the lease names a server that does not serve this instance, where another one does",
      severity: "warning",
      advice: "renew the lease",
      where: "guest",
    },
  },
  judge(facts) {
    const leases = newest(facts.leases);
    if (leases.length === 0) return skipped("no lease is found");
    const seen = leases
      .map(
        ({ interface: on = "?", server = "no server", client }) => `${on}: ${server} (${client})`,
      )
      .join(", ");
    const found = findingOf(facts, leases);
    return found === undefined ? fine(seen) : { seen, found: [found] };
  },
};

/** Of each client and interface, the lease that was written last. */
function newest(leases: readonly Lease[]): readonly Lease[] {
  const first = new Map<string, Lease>();
  for (const lease of leases) {
    const id = `${lease.client} ${lease.interface}`;
    if (!first.has(id)) first.set(id, lease);
  }
  return [...first.values()];
}

function findingOf(facts: Facts, leases: readonly Lease[]): Found<Code> | undefined {
  const named = leases.filter(({ server }) => server !== undefined);
  const files = and(leases.map(({ file }) => file));
  const router = routerOf(facts);
  if (named.length === 0) {
    const byName = facts.dataServer.addresses.some((address) =>
      serving(facts).some(({ endpoint }) => endpoint.host === address),
    );
    return {
      code: "LEASE_NO_SERVER",
      seen: `${files} has no dhcp-server-identifier`,
      cause: "the DHCP server does not send option 54, or the client does not keep it",
      certainty: "likely",
      remedy: router === undefined ? [] : [`echo '${router} data-server' >> /etc/hosts`],
      // The name leads there, and is asked for first.
      ...(byName ? { severity: "info" } : {}),
    };
  }
  const clash = named.find((lease) =>
    named.some((one) => one.interface === lease.interface && one.server !== lease.server),
  );
  if (clash !== undefined) {
    const same = named.filter((one) => one.interface === clash.interface);
    const old = same.slice(1).filter((one) => one.server !== same[0]?.server);
    return {
      code: "LEASES_DISAGREE",
      subjects: same.map(({ server = "" }) => server),
      seen: same.map(({ file, server }) => `${file} names ${server}`).join("; "),
      cause: "one of them is old, of another DHCP client or another network, or a stranger's",
      certainty: "possible",
      remedy: old.map(({ file }) => `mv ${file} ${file}.old`),
    };
  }
  const served = serving(facts).map(({ endpoint }) => endpoint.host);
  const gone = named.filter(({ server = "" }) => !served.includes(server));
  if (gone.length < named.length || !served.some(isIPv4)) return undefined;
  const device = gone[0]?.interface ?? "eth0";
  const names = gone.map(({ file, server }) => `${file} names ${server}`);
  return {
    code: "LEASE_OLD_SERVER",
    subjects: gone.map(({ server = "" }) => server),
    seen: `${names.join("; ")}; ${and(served)} serves`,
    cause: "the router has got another address since, or the DHCP server is not the router",
    certainty: "possible",
    remedy: [`dhclient -r ${device}; dhclient -v ${device}`],
  };
}
