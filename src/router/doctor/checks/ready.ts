/** Whether guests are answered from a source that was read, on every listener. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";
import { LOADING_MS } from "../limits.ts";
import { ageWords } from "../words.ts";

export const ready: Check<"ROUTER_LOADING" | "ROUTER_NOT_READY"> = {
  name: "ready",
  title: "guests are answered from a source that was read, on every listener",
  kinds: {
    ROUTER_LOADING: {
      title: "the router reads its source for the first time",
      severity: "warning",
      advice: "wait; where it stays so, look at the disk, the CPU and the source",
      where: "router",
      because: ["SOURCE_ABSENT", "SOURCE_FILE_ABSENT", "SOURCE_UNREADABLE", "SOURCE_MALFORMED"],
    },
    ROUTER_NOT_READY: {
      title: "the router is not ready: a listener is missing",
      severity: "error",
      advice: "see which address is not listened on: the router's log names it",
      where: "router",
      because: ["LISTEN_FAILED", "PORT_HELD", "APACHE_RUNS", "NAMESPACE_DOWN"],
    },
  },
  judge({ admin, now }) {
    if (admin.kind !== "answers") return skipped("no router answers");
    const { ready, status } = admin;
    if (ready) return fine(`ready, ${counted(status.bindings ?? 0, "address", "addresses")} bound`);
    const since = status.loadingSince;
    if (since === undefined) {
      const seen = "the source has been read, and the router is not ready";
      const cause = "not every address that it should listen on is open";
      return { seen, found: [{ code: "ROUTER_NOT_READY", seen, cause, certainty: "likely" }] };
    }
    const seen = `loading for ${ageWords(now - since)}, since ${new Date(since).toISOString()}`;
    const late = now - since > LOADING_MS;
    const cause = late
      ? "the source is not there, is very large, or the disk or the CPU is slow"
      : "it has just been started";
    return {
      seen,
      found: [
        {
          code: "ROUTER_LOADING",
          seen,
          cause,
          certainty: late ? "possible" : "likely",
          ...(late ? {} : { severity: "info" }),
        },
      ],
    };
  },
};
