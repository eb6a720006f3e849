/** Whether somebody listens where CloudStack's clients ask for their password. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";
import type { Service } from "../facts.ts";

export const password: Check<"PASSWORD_CLOSED"> = {
  name: "password",
  title: "the password server takes connections",
  kinds: {
    PASSWORD_CLOSED: {
      title: "metadata is served, but nobody answers at the password port",
      severity: "warning",
      advice: "restart the password server on the router",
      where: "router",
      because: ["EGRESS_BLOCKED"],
    },
  },
  judge({ service }) {
    if (service?.password === undefined) return skipped("nobody serves metadata");
    const { host, spoken } = service.password;
    const seen = `${host}:8080 ${spoken.kind}`;
    if (spoken.kind === "open" || !service.target.serves) return fine(seen);
    if (!isCloudStacks(service)) return fine(`${seen}; not a service that has one`);
    return {
      seen,
      found: [
        {
          code: "PASSWORD_CLOSED",
          subjects: [host],
          seen: `http://${host}:8080 ${spoken.kind} (${spoken.code})`,
          cause: "the password server does not run there, or a firewall leaves only port 80 open",
          certainty: "likely",
          // It is one for each address, named by it; clients ask at the router's own.
          remedy: [
            `systemctl restart frontdesk-router || systemctl restart cloud-password-server@${host}`,
          ],
          ...(host === "169.254.169.254" ? { severity: "info" } : {}),
        },
      ],
    };
  },
};

/** Keys that only CloudStack's routers list, and Frontdesk as they do. */
function isCloudStacks({ names }: Service): boolean {
  return names.includes("vm-id") || names.includes("service-offering");
}
