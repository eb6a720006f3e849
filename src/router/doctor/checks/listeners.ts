/** Whether the addresses that the router listens on take a connection from this machine. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import { addressOf } from "../../listeners.ts";
import type { Check } from "../check.ts";
import type { Connect, Facts } from "../facts.ts";
import { restartCommands } from "../words.ts";

type Code = "LISTENER_REFUSED" | "LISTENER_UNREACHABLE" | "LISTENER_TIMEOUT";

const KIND = { severity: "error", where: "router", because: ["INPUT_BLOCKED"] } as const;

export const listeners: Check<Code> = {
  name: "listeners",
  title: "metadata and password listeners take connections",
  kinds: {
    LISTENER_REFUSED: {
      ...KIND,
      title: "a connection to a listener of the router is refused",
      advice: "restart the router; a firewall that rejects looks the same",
    },
    LISTENER_UNREACHABLE: {
      ...KIND,
      title: "a listener of the router cannot be reached from this machine itself",
      advice: "look at the address and at the device that has it",
    },
    LISTENER_TIMEOUT: {
      ...KIND,
      title: "a listener of the router does not answer a connection",
      advice: "look at this machine's firewall, and at the router's load",
    },
  } satisfies Record<Code, FindingKind>,
  judge(facts) {
    if (facts.admin.kind !== "answers") return skipped("no router answers");
    const { connects } = facts;
    if (connects.length === 0) return skipped("the router listens on no address of this machine's");
    const failed = connects.filter(({ spoken }) => spoken.kind !== "open");
    const open = connects.length - failed.length;
    const seen = `${open} of ${counted(connects.length, "listener")} open`;
    if (failed.length === 0) return fine(seen);
    return { seen, found: failed.map((one) => findingOf(facts, one)) };
  },
};

function findingOf(facts: Facts, { target, spoken }: Connect): Found<Code> {
  const at = addressOf(target);
  const base = { subjects: [at], certainty: "possible" as const };
  const seen = `${target.plane} at ${at}: ${spoken.code || spoken.kind}`;
  const pid = facts.admin.kind === "answers" ? facts.admin.status.pid : undefined;
  if (spoken.kind === "refused") {
    const cause = "nobody listens there although the router says so, or a firewall rejects it";
    return { ...base, code: "LISTENER_REFUSED", seen, cause, remedy: restartCommands(facts, pid) };
  }
  if (spoken.kind === "unreachable") {
    const cause = "the address is on a device that is down, or a route forbids it";
    const remedy = [`ip route get ${target.host}`, "ip address show"];
    return { ...base, code: "LISTENER_UNREACHABLE", seen, cause, remedy };
  }
  const cause = "a firewall drops it, or the router takes no more connections";
  return { ...base, code: "LISTENER_TIMEOUT", seen, cause, remedy: ["nft list ruleset"] };
}
