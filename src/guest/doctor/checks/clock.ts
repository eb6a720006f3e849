/** Whether this instance's clock and the router's agree. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";
import { CLOCK_SKEW_MS } from "../limits.ts";

export const clock: Check<"CLOCK_DIFFERS"> = {
  name: "clock",
  title: "the clock agrees with the router's",
  kinds: {
    CLOCK_DIFFERS: {
      title: "this instance's clock and the router's differ; signatures and certificates fail",
      severity: "warning",
      advice: "see which of the two is right, and synchronise the other one",
      where: "guest",
    },
  },
  judge({ service }) {
    if (service?.clock === undefined) return skipped("no answer with a date");
    const { theirs, ours } = service.clock;
    const seconds = Math.round((ours - theirs) / 1000);
    const seen = `${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead"}`;
    if (Math.abs(ours - theirs) < CLOCK_SKEW_MS) return fine(seen);
    return {
      seen,
      found: [
        {
          code: "CLOCK_DIFFERS",
          subjects: [service.target.endpoint.host],
          seen: `here it is ${iso(ours)}, on the router ${iso(theirs)}`,
          cause: "one of the two clocks is wrong; this does not tell which",
          certainty: "possible",
          remedy: ["timedatectl set-ntp true"],
        },
      ],
    };
  },
};

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, "");
}
