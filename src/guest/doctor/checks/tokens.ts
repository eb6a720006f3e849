/** Whether the service has session tokens, and whether it insists on them. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";

export const tokens: Check<"TOKENS_REQUIRED"> = {
  name: "tokens",
  title: "session tokens",
  kinds: {
    TOKENS_REQUIRED: {
      title: "the service answers only with a session token; older clients get 401",
      severity: "info",
      advice: "use clients that fetch a token, such as this one",
      where: "guest",
    },
  },
  judge({ service }) {
    if (service === undefined || !service.target.serves) return skipped("nobody serves metadata");
    if (service.tokens !== "required") {
      return fine(service.tokens === "offered" ? "offered, not required" : "not offered");
    }
    return {
      seen: "required",
      found: [
        {
          code: "TOKENS_REQUIRED",
          subjects: [service.target.endpoint.host],
          seen: "a request without a token is answered 401, one with a token 200",
          cause: "the service is set so",
          certainty: "certain",
        },
      ],
    };
  },
};
