/** Whether all who serve metadata say the same: a second service may be a stranger's. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import { and } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import { routerOf, serving } from "../words.ts";

export const agreement: Check<"ANSWERS_DIFFER"> = {
  name: "agreement",
  title: "all who serve metadata say the same",
  kinds: {
    ANSWERS_DIFFER: {
      title: "two services say different things about this instance",
      severity: "error",
      advice: "find out which of them is the router; pin this instance to it",
      where: "guest",
    },
  },
  judge(facts) {
    const all = serving(facts).filter(({ instanceId }) => instanceId !== undefined);
    if (all.length === 0) return skipped("nobody serves metadata");
    const ids = new Set(all.map(({ instanceId }) => instanceId));
    const who = and(all.map(({ endpoint }) => endpoint.host));
    if (ids.size === 1) return fine(all.length === 1 ? `${who} alone` : `${who} agree`);
    // Whom the lease and the default route name is more likely the router than who only answers.
    const lease = facts.leases.find(({ server }) => server !== undefined)?.server;
    const gateway = facts.gateways[0]?.address;
    const router = [lease, gateway].find((host) => all.some((one) => one.endpoint.host === host));
    const trusted = router ?? routerOf(facts);
    const seen = all.map((one) => `${one.endpoint.host} says instance-id ${one.instanceId}`);
    const pin = `frontdesk guest harden --pin --endpoint http://${trusted} --apply`;
    return {
      seen: seen.join("; "),
      found: [
        {
          code: "ANSWERS_DIFFER",
          subjects: all.map(({ endpoint }) => endpoint.host),
          seen: seen.join("; "),
          cause: "a second metadata service is on this network, or one of them has old data",
          certainty: "likely",
          remedy: trusted === undefined ? [] : ["ip neigh show", pin],
        },
      ],
    };
  },
};
