/** Whether large packets pass: where they are lost silently, a connection stands, and hangs. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import { LARGE_BYTES } from "../limits.ts";
import { uplinkOf } from "../words.ts";

/** IPv6's least, which every path should carry. Bytes. */
const SAFE_BYTES = 1_280;

export const mtu: Check<"MTU_BLACK_HOLE"> = {
  name: "mtu",
  title: "large packets pass",
  kinds: {
    MTU_BLACK_HOLE: {
      title: "large packets are lost on the way, without a word",
      severity: "error",
      advice: "lower the MTU of the interface to what passes, and have the network mended",
      where: "guest",
    },
  },
  judge(facts) {
    const { service } = facts;
    const sizes = service?.sizes;
    if (service === undefined || sizes === undefined) return skipped("nobody answers");
    if (sizes.lost.length === 0) return answers(facts);
    const most = Math.max(...sizes.passed);
    const least = Math.min(...sizes.lost);
    const device = deviceOf(facts);
    const seen = `packets of ${most} bytes are answered, of ${least} bytes lost`;
    return {
      seen,
      found: [
        {
          code: "MTU_BLACK_HOLE",
          subjects: [service.target.endpoint.host],
          seen: `${seen}, on a connection that stands`,
          cause: "a link on the way carries less than this interface's MTU, and does not say so",
          certainty: "likely",
          remedy: [`ip link set dev ${word(device)} mtu ${most}`],
        },
      ],
    };
  },
};

/** Requests pass. A large answer that is lost, where small ones are not, tells of the way back. */
function answers(facts: Facts): ReturnType<typeof mtu.judge> {
  const { service } = facts;
  const lost = service?.userData?.kind === "timeout";
  if (!lost || service?.target.serves !== true) return fine(`${LARGE_BYTES} bytes pass`);
  const found: Found<"MTU_BLACK_HOLE"> = {
    code: "MTU_BLACK_HOLE",
    subjects: [service.target.endpoint.host],
    seen: "the listing is answered, and user data, which may be large, is not",
    cause: "large packets from the router may be lost, or the service hangs",
    certainty: "possible",
    remedy: [`ip link set dev ${word(deviceOf(facts))} mtu ${SAFE_BYTES}`],
  };
  return { seen: found.seen, found: [found] };
}

function deviceOf(facts: Facts): string {
  const route = facts.service?.target.route;
  return route?.kind === "found" ? route.device : (uplinkOf(facts)?.device ?? "eth0");
}
