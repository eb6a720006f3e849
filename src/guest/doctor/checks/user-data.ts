/** Whether there is user data, in a form that clients understand. Its content is never shown. */

import { counted } from "../../../model/count.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import type { Check } from "../check.ts";

type Code = "USER_DATA_EMPTY" | "USER_DATA_ENCODED" | "USER_DATA_FAILS";

/** How user data begins that some client can use: a script, cloud-config, MIME, gzip, JSON. */
const FORMS =
  /^(?:#!|#cloud-|#include|#part-|## template|Content-T|MIME-V|From |\x1f\x8b|\{|<powersh|<script)/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

export const userData: Check<Code> = {
  name: "user-data",
  title: "user data can be used",
  kinds: {
    USER_DATA_EMPTY: {
      title: "there is no user data",
      severity: "info",
      advice: "if there should be some, set it with CloudStack's updateVirtualMachine",
      where: "guest",
    },
    USER_DATA_ENCODED: {
      title: "user data was base64-encoded twice; clients see text that means nothing to them",
      severity: "warning",
      advice: "set it again, encoded once: tools and consoles often encode it themselves",
      where: "guest",
    },
    USER_DATA_FAILS: {
      title: "user data is not answered",
      severity: "error",
      advice: "see on the router what it has for this instance",
      where: "router",
      because: ["MTU_BLACK_HOLE", "HTTP_FAILS"],
    },
  },
  judge({ service }) {
    const asked = service?.userData;
    if (service === undefined || asked === undefined) return skipped("nobody serves metadata");
    const subjects = [service.target.endpoint.host];
    const find = (seen: string, one: Omit<Found<Code>, "subjects" | "seen">) => ({
      seen,
      found: [{ ...one, subjects, seen }],
    });
    if (asked.kind !== "reply" || (asked.status !== 200 && asked.status !== 404)) {
      const what =
        asked.kind === "reply" ? `answers ${asked.status}` : `${asked.kind}, ${asked.code}`;
      return find(`GET /latest/user-data: ${what}`, {
        code: "USER_DATA_FAILS",
        cause: "the router cannot read it, or it is lost on the way",
        certainty: "possible",
        remedy: ["df -h / /var", "frontdesk doctor"],
      });
    }
    if (asked.status === 404 || asked.body.length === 0) {
      return find("none", {
        code: "USER_DATA_EMPTY",
        cause: "none was given when the instance was made, or it was removed",
        certainty: "likely",
      });
    }
    const text = asked.body.toString("latin1");
    if (!FORMS.test(text) && BASE64.test(text) && FORMS.test(decoded(text))) {
      return find(`${counted(asked.body.length, "byte")} of base64, which hold user data`, {
        code: "USER_DATA_ENCODED",
        cause: "what was given to the API as user data was base64 already, and was encoded again",
        certainty: "likely",
        remedy: ["frontdesk guest get user-data | base64 -d"],
      });
    }
    return fine(counted(asked.body.length, "byte"));
  },
};

function decoded(text: string): string {
  return Buffer.from(text, "base64").toString("latin1");
}
