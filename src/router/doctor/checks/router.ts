/** Whether a router runs and answers its admin listener; else why not. */

import { fine } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { restartCommands, startCommands } from "../words.ts";

type Code =
  | "ROUTER_STOPPED"
  | "ROUTER_NEVER_RAN"
  | "ROUTER_KILLED"
  | "ROUTER_HANGS"
  | "ADMIN_ELSEWHERE"
  | "ADMIN_FORBIDDEN"
  | "ADMIN_FOREIGN";

/** What keeps a router from starting at all. */
const HINDRANCES = [
  ...["SOURCE_ABSENT", "PORT_HELD", "APACHE_RUNS", "STATE_OWNER", "CPU_OLD"],
  ...["SEAL_KEY_OPEN", "SEAL_KEY_UNREADABLE", "SEAL_KEY_SIZE", "SEAL_KEY_ABSENT"],
];
const START = "start it; where it ends again, its last line on standard error says why";

export const router: Check<Code> = {
  name: "router",
  title: "a router runs, and answers its admin listener",
  kinds: {
    ROUTER_STOPPED: {
      title: "no router runs with this state directory",
      severity: "error",
      advice: START,
      where: "router",
      because: HINDRANCES,
    },
    ROUTER_NEVER_RAN: {
      title: "there is no state directory: no router has run with it",
      severity: "error",
      advice: "start a router, or name its state directory with --state-dir",
      where: "router",
      because: HINDRANCES,
    },
    ROUTER_KILLED: {
      title: "the router has ended without a word; its admin socket is left behind",
      severity: "error",
      advice: START,
      where: "router",
      because: HINDRANCES,
    },
    ROUTER_HANGS: {
      title: "a router runs, and does not answer its admin listener",
      severity: "error",
      advice: "restart it; keep its log, which says what it did last",
      where: "router",
    },
    ADMIN_ELSEWHERE: {
      title: "a router runs with this state directory, and has another admin listener",
      severity: "warning",
      advice: "name it with --admin; its command line or its configuration file says where it is",
      where: "router",
    },
    ADMIN_FORBIDDEN: {
      title: "this user may not ask the router",
      severity: "warning",
      advice: "run this as root, or as the router's user",
      where: "router",
    },
    ADMIN_FOREIGN: {
      title: "what answers at the admin listener's address is no router of ours",
      severity: "error",
      advice: "correct --admin, or stop that program and start the router",
      where: "router",
    },
  },
  judge(facts) {
    const { admin, adminAt } = facts;
    if (admin.kind === "answers") {
      const pid = admin.status.pid === undefined ? "" : `process ${admin.status.pid} `;
      return fine(`${pid}answers at ${adminAt}`);
    }
    const found = findingOf(facts, admin.kind);
    return { seen: found.seen, found: [found] };
  },
};

function findingOf(facts: Facts, kind: Exclude<Facts["admin"]["kind"], "answers">): Found<Code> {
  const { adminAt, lock, stateDir } = facts;
  const holder = lock?.isAlive === true ? lock.pid : undefined;
  if (kind === "forbidden") {
    const again = ["sudo frontdesk doctor", ...facts.adminFlags].join(" ");
    const seen = `${adminAt} may not be opened by this user`;
    const cause = "only the router's user and root may ask it";
    return { code: "ADMIN_FORBIDDEN", seen, cause, certainty: "certain", remedy: [again] };
  }
  if (kind === "foreign") {
    const seen = `${adminAt} answers with something else than a router's status`;
    return {
      code: "ADMIN_FOREIGN",
      seen,
      cause: "another program listens there",
      certainty: "certain",
    };
  }
  if (kind === "silent") {
    const who = holder === undefined ? "somebody" : `process ${holder}`;
    return {
      code: "ROUTER_HANGS",
      seen: `${who} takes connections at ${adminAt}, and does not answer within 2 s`,
      cause: "it hangs or is stopped, or this machine is overloaded",
      certainty: "possible",
      remedy: restartCommands(facts, holder, "hangs"),
    };
  }
  if (holder !== undefined) {
    return {
      code: "ADMIN_ELSEWHERE",
      seen: `process ${holder} holds the lock of ${stateDir}; nobody listens at ${adminAt}`,
      cause: "it was started with another --admin-listen, or is about to start or to end",
      certainty: "possible",
      remedy: [`tr '\\0' ' ' < /proc/${holder}/cmdline`],
    };
  }
  const remedy = startCommands(facts);
  if (facts.state === "absent") {
    const seen = `${stateDir} does not exist, and nobody listens at ${adminAt}`;
    const cause = "no router was started with this state directory";
    return { code: "ROUTER_NEVER_RAN", seen, cause, certainty: "certain", remedy };
  }
  if (kind === "closed" || lock !== undefined) {
    const left = lock === undefined ? "" : `; the lock of ${stateDir} is that of a dead process`;
    const socket = kind === "closed" ? `nobody listens at ${adminAt}` : `${adminAt} is not there`;
    const cause = "it was killed, or the machine went down: one that is told to end tidies up";
    return { code: "ROUTER_KILLED", seen: socket + left, cause, certainty: "likely", remedy };
  }
  return {
    code: "ROUTER_STOPPED",
    seen: `${adminAt} is not there, and nobody holds the lock of ${stateDir}`,
    cause: "it was told to end, or could not start",
    certainty: "likely",
    remedy,
  };
}
