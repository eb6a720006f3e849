/** Which of its addresses this instance asks with: the router knows only the one that it leased. */

import { isIPv4 } from "node:net";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import type { Address } from "../network.ts";
import { hosts, reliedOn } from "../words.ts";

type Code = "SOURCE_LINK_LOCAL" | "SOURCE_OTHER";

export const source: Check<Code> = {
  name: "source",
  title: "requests come from the leased address",
  kinds: {
    SOURCE_LINK_LOCAL: {
      title: "requests are sent from an address of 169.254.0.0/16, which the router cannot know",
      severity: "error",
      advice: "remove the address, or name the leased one as the source of the route",
      where: "guest",
      because: ["NO_ADDRESS"],
    },
    SOURCE_OTHER: {
      title: "requests are sent from another address than the leased one",
      severity: "error",
      advice: "name the leased address as the source of the route",
      where: "guest",
    },
  },
  judge(facts) {
    const targets = reliedOn(facts).filter(({ route }) => route?.kind === "found" && !route.local);
    if (targets.length === 0) return skipped("no route to look at");
    const made = targets.filter((target) => sourceOf(target).startsWith("169.254."));
    const leased = leasedOf(facts);
    // A source that the router answers is no fault, whatever the lease says.
    const other = targets.filter(
      (target) =>
        leased !== undefined &&
        !target.serves &&
        target.listing?.kind === "reply" &&
        !made.includes(target) &&
        sourceOf(target) !== leased &&
        isIPv4(sourceOf(target)),
    );
    const seen = [...new Set(targets.map(sourceOf))].join(", ");
    const found = [];
    const right = leased ?? ofGateway(facts);
    if (made.length > 0 && right !== undefined) {
      found.push(wrong(facts, "SOURCE_LINK_LOCAL", made, right));
    }
    if (other.length > 0 && leased !== undefined) {
      found.push(wrong(facts, "SOURCE_OTHER", other, leased));
    }
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

/** Addresses by which a router may know this instance. */
function ownOf({ addresses = [] }: Facts): readonly Address[] {
  return addresses.filter(
    ({ address, device }) => isIPv4(address) && device !== "lo" && !address.startsWith("169.254."),
  );
}

/** Of several, without a lease, the only one on the way to the default gateway. */
function ofGateway(facts: Facts): string | undefined {
  const there = ownOf(facts).filter(({ device }) => device === facts.gateways[0]?.device);
  return there.length === 1 ? there[0]?.address : undefined;
}

/** The address that was leased, if this instance has it; else its only one. */
function leasedOf(facts: Facts): string | undefined {
  const { leases } = facts;
  const own = ownOf(facts);
  const byLease = leases.find((lease) => own.some(({ address }) => address === lease.address));
  return byLease?.address ?? (own.length === 1 ? own[0]?.address : undefined);
}

function sourceOf({ route }: Target): string {
  return (route?.kind === "found" ? route.source : undefined) ?? "";
}

function wrong(facts: Facts, code: Code, targets: readonly Target[], leased: string): Found<Code> {
  const used = [...new Set(targets.map(sourceOf))];
  const device = facts.addresses?.find(({ address }) => address === leased)?.device ?? "eth0";
  const remedy = targets.map(({ endpoint, route }) => {
    const via =
      route?.kind === "found" && route.gateway !== undefined ? ` via ${route.gateway}` : "";
    return `ip route replace ${endpoint.host}/32${via} dev ${word(device)} src ${leased}`;
  });
  return {
    code,
    subjects: hosts(targets),
    seen: `requests to ${and(hosts(targets))} are sent from ${and(used)}, not from ${leased}`,
    cause: "the route names this source, or the kernel has chosen it among several addresses",
    certainty: "certain",
    remedy,
    ...(facts.service?.target.serves === true ? { severity: "warning" } : {}),
  };
}
