/** What the service says to a request, and how long it takes for it. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import type { Check } from "../check.ts";
import type { Facts, Target } from "../facts.ts";
import { SLOW_MS } from "../limits.ts";
import { RESTART_SERVICE, reliedOn, uplinkOf } from "../words.ts";

type Code =
  | "HTTP_UNKNOWN_INSTANCE"
  | "HTTP_FORBIDDEN"
  | "HTTP_FAILS"
  | "HTTP_NOT_READY"
  | "HTTP_OTHER"
  | "HTTP_SILENT"
  | "HTTP_SLOW";

const SOURCE = ["SOURCE_LINK_LOCAL", "SOURCE_OTHER", "LINK_LOCAL_TAKEN"];

export const http: Check<Code> = {
  name: "http",
  title: "the service answers with metadata",
  kinds: {
    HTTP_UNKNOWN_INSTANCE: {
      title: "the router has no metadata for this instance (404)",
      severity: "error",
      advice: "see on the router what it knows of this address; stop and start the instance",
      where: "router",
      because: SOURCE,
    },
    HTTP_FORBIDDEN: {
      title: "the service refuses this instance (401 or 403)",
      severity: "error",
      advice: "see on the router which of its rules refuses",
      where: "router",
      because: SOURCE,
    },
    HTTP_FAILS: {
      title: "the service answers with an error of its own (5xx)",
      severity: "error",
      advice: "free space on the router's disk, and restart the service",
      where: "router",
    },
    HTTP_NOT_READY: {
      title: "the service is not ready yet (503)",
      severity: "warning",
      advice: "wait; if it stays so, look at the router's conditions",
      where: "router",
    },
    HTTP_OTHER: {
      title: "something that is no metadata service answers there",
      severity: "error",
      advice: "find out who it is, by its MAC address",
      where: "guest",
      because: ["LINK_LOCAL_TAKEN"],
    },
    HTTP_SILENT: {
      title: "the connection stands, and no answer comes",
      severity: "error",
      advice: "restart the metadata service on the router",
      where: "router",
      because: ["MTU_BLACK_HOLE", "INGRESS_BLOCKED"],
    },
    HTTP_SLOW: {
      title: "the service is slow; some clients give up after a second",
      severity: "warning",
      advice: "look at the router's load, and at what else is asking it",
      where: "router",
    },
  },
  judge(facts) {
    const asked = reliedOn(facts).filter(({ listing }) => listing !== undefined);
    if (asked.length === 0) return skipped("nobody takes a connection");
    const found = asked.flatMap((target) => judgeOne(facts, target));
    const seen = asked.map((target) => `${target.endpoint.host} ${wordOf(target)}`).join(", ");
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

function wordOf({ listing }: Target): string {
  if (listing?.kind === "reply") return `${listing.status} in ${listing.ms} ms`;
  return listing?.kind ?? "";
}

function judgeOne(facts: Facts, target: Target): Found<Code>[] {
  const { listing, endpoint, serves } = target;
  const found = (one: Omit<Found<Code>, "subjects">): Found<Code>[] => [
    { ...one, subjects: [endpoint.host], ...(others(facts, target) ? { severity: "info" } : {}) },
  ];
  const me = uplinkOf(facts)?.address ?? "ADDRESS";
  const why = `frontdesk why ${me} || ls -l /var/www/html/metadata/${me}`;
  const it = `GET ${endpoint.url}/latest/meta-data/`;
  if (serves) {
    if ((listing?.ms ?? 0) < SLOW_MS) return [];
    return [
      {
        code: "HTTP_SLOW",
        subjects: [endpoint.host],
        seen: `${it} took ${listing?.ms} ms`,
        cause: "the router has too little CPU, or a storm of boots is asking it",
        certainty: "possible",
        remedy: ["uptime; ss -Htn 'sport = :80' | wc -l"],
      },
    ];
  }
  if (listing?.kind !== "reply") {
    return found({
      code: "HTTP_SILENT",
      seen: `${it}: ${listing?.kind} (${listing?.code}) after ${listing?.ms} ms, though connected`,
      cause: "the service hangs, or answers are lost on the way back",
      certainty: "possible",
      remedy: [RESTART_SERVICE],
    });
  }
  const { status } = listing;
  const seen = `${it} answers ${status}`;
  if (status === 404) {
    return found({
      code: "HTTP_UNKNOWN_INSTANCE",
      seen: `${seen} to ${me}`,
      cause: `the router knows no instance with the address ${me}, or nothing was written for it`,
      certainty: "likely",
      remedy: [why],
    });
  }
  if (status === 401 || status === 403) {
    const cause = "a rule of the service: a required token, an unexpected Host, another MAC";
    return found({ code: "HTTP_FORBIDDEN", seen, cause, certainty: "likely", remedy: [why] });
  }
  if (status === 503) {
    const cause = "the router has just started, or has no source of its data";
    const remedy = ["frontdesk doctor", RESTART_SERVICE];
    return found({ code: "HTTP_NOT_READY", seen, cause, certainty: "likely", remedy });
  }
  if (status >= 500) {
    return found({
      code: "HTTP_FAILS",
      seen,
      cause: "the service on the router fails; most often its disk is full",
      certainty: "possible",
      remedy: ["df -h / /var", "find /var/log -xdev -type f -name '*.gz' -delete", RESTART_SERVICE],
    });
  }
  return found({
    code: "HTTP_OTHER",
    seen: `${seen}, without a listing of metadata`,
    cause: "another program, a captive portal or a proxy answers at this address",
    certainty: "likely",
    remedy: [`ip neigh show to ${endpoint.host}`, `ip route get ${endpoint.host}`],
  });
}

/** Whether another address serves: then most clients do well without this one. */
function others({ targets }: Facts, target: Target): boolean {
  return targets.some((one) => one !== target && one.serves);
}
