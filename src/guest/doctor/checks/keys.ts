/** Whether the keys are there that clients cannot do without, and every listed one is answered. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import { uplinkOf } from "../words.ts";

type Code = "KEY_ABSENT" | "KEY_DEAD";

export const keys: Check<Code> = {
  name: "keys",
  title: "the keys that clients need are there",
  kinds: {
    KEY_ABSENT: {
      title: "a key that clients need does not exist for this instance (404)",
      severity: "error",
      advice: "see on the router what it knows of this instance; stop and start the instance",
      where: "router",
    },
    KEY_DEAD: {
      title: "a key is listed, and not answered; cloud-init drops all metadata for one of these",
      severity: "error",
      advice: "see on the router what it has for this key",
      where: "router",
    },
  },
  judge(facts) {
    const { service } = facts;
    if (service === undefined || !service.target.serves) return skipped("nobody serves metadata");
    const subjects = [service.target.endpoint.host];
    const me = uplinkOf(facts)?.address ?? "ADDRESS";
    const remedy = [`frontdesk why ${me} || ls -l /var/www/html/metadata/${me}`];
    // An answer that did not come is the connection's fault, not the key's.
    const dead = service.keys.filter(({ listed, status }) => listed && status >= 400);
    const absent = service.keys.filter(({ listed, status }) => !listed && status === 404);
    const found: Found<Code>[] = [];
    if (dead.length > 0) {
      const answers = dead.map(({ name, status }) => `${name} (${status})`);
      found.push({
        code: "KEY_DEAD",
        subjects,
        seen: `listed, but not answered: ${and(answers)}`,
        cause: "the router's file of this key is missing, or may not be read",
        certainty: "likely",
        remedy,
      });
    }
    if (absent.length > 0) {
      const names = absent.map(({ name }) => name);
      found.push({
        code: "KEY_ABSENT",
        subjects,
        seen: `neither listed nor answered: ${and(names)}`,
        cause: "CloudStack has no value for it, or has not sent it to this router",
        certainty: "likely",
        remedy,
        ...(names.includes("instance-id") ? {} : { severity: "warning" }),
      });
    }
    const answered = service.keys.filter(({ status }) => status === 200).length;
    const seen = `${counted(answered, "key")} answered`;
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};
