/** Whether another program holds an address that the router should listen on, and which. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts, PortHolder } from "../facts.ts";
import { processWords, stopCommands } from "../words.ts";

type Code = "PORT_HELD" | "APACHE_RUNS";

/** The server of CloudStack's own router, as it is called here and elsewhere. */
const APACHE = /^(?:apache2|httpd)$/;
const EVERY = ["0.0.0.0", "::"];

export const ports: Check<Code> = {
  name: "ports",
  title: "no other program holds the router's addresses",
  kinds: {
    PORT_HELD: {
      title: "another program holds an address that the router should listen on",
      severity: "error",
      advice: "stop that program, or have one of the two listen elsewhere",
      where: "router",
    },
    APACHE_RUNS: {
      title: "Apache, which serves metadata on CloudStack's own router, holds the router's address",
      severity: "error",
      advice: "stop Apache and keep it from starting again, as packaging/README.md says",
      where: "router",
    },
  },
  judge(facts) {
    const { admin, source } = facts;
    const held = facts.holders.filter(({ pid }) => !isOurs(facts, pid));
    if (admin.kind === "forbidden") return skipped("this user may not ask the router");
    if (admin.kind !== "answers") {
      if (source?.scheme !== "databag") return skipped("nobody says where a router should listen");
      if (held.length === 0) return fine("nobody listens on ports 80 and 8080");
      const found = held.map((holder) => findingOf(facts, holder, []));
      return { seen: and(held.map(({ port }) => `port ${port} is held`)), found };
    }
    const wanted = admin.conditions.filter(({ code }) => code === "LISTEN_FAILED");
    const found = held.flatMap((holder) => {
      const taken = wanted.filter(({ subject }) => isAt(subject, holder));
      if (taken.length === 0) return [];
      return [
        findingOf(
          facts,
          holder,
          taken.map(({ subject }) => subject),
        ),
      ];
    });
    if (found.length === 0) return fine("nobody else holds one");
    return { seen: and(found.flatMap(({ subjects = [] }) => subjects)), found };
  },
};

function isOurs({ routers, admin }: Facts, pid: number | undefined): boolean {
  if (pid === undefined) return false;
  const own = admin.kind === "answers" ? admin.status.pid : undefined;
  return pid === own || routers.some((one) => one.pid === pid);
}

/** @param listener as the condition calls it: `10.1.1.1:80 (metadata)` */
function isAt(listener: string, { address, port }: PortHolder): boolean {
  const at = address.includes(":") ? `[${address}]:${port} ` : `${address}:${port} `;
  return listener.startsWith(at) || (EVERY.includes(address) && listener.includes(`:${port} (`));
}

function findingOf(facts: Facts, holder: PortHolder, subjects: readonly string[]): Found<Code> {
  const { address, port, pid, program, unit } = holder;
  const at = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const of = unit === undefined ? "" : ` of ${unit}`;
  const who = `${processWords(pid, program)}${of}`;
  const isApache = APACHE.test(program ?? "");
  return {
    code: isApache ? "APACHE_RUNS" : "PORT_HELD",
    subjects,
    seen: `${who} listens on ${at}`,
    cause: isApache
      ? "the server that Frontdesk replaces still runs, or was started again"
      : `only one program can have an address and a port, and ${who} has it`,
    certainty: "certain",
    remedy: stopCommands(facts, holder),
  };
}
