/**
 * The password port of the bridge. Two words of the dialogue go upstream, nothing else does; what
 * comes back is a password, a word of the dialogue, or nothing: clients take all else for one.
 */

import type { Reply } from "../protocol/http.ts";
import {
  isDeliverable,
  NOT_UNDERSTOOD,
  NOTHING_PENDING,
  POSTED,
  readPasswordAsk,
  SAVED_PASSWORD,
  WRONG_METHOD,
} from "../protocol/password.ts";
import type { Guest } from "./guests.ts";
import { PASSWORD_BYTES_MAX } from "./limits.ts";
import { failed, type PlanePorts } from "./metadata.ts";
import type { BridgeHandler, BridgeRequest } from "./ports.ts";
import { UnderWay } from "./under-way.ts";
import { type Answer, askUpstream, type Failure } from "./upstream.ts";

const WORDS = { send: "send_my_password", acknowledge: SAVED_PASSWORD } as const;

interface Outcome {
  readonly reply: Reply;
  readonly what: string;
  readonly guest?: Guest;
}

export function passwordBridge(ports: PlanePorts): BridgeHandler {
  const underWay = new UnderWay();
  return async (request, zone) => {
    const { reply, what, guest } = await answer(request, zone, { ports, underWay });
    const { peer = "" } = request;
    const { device, address } = guest ?? {};
    const { status } = reply;
    ports.onAnswer({ plane: "password", peer, device, guest: address, what, status });
    return reply;
  };
}

async function answer(
  request: BridgeRequest,
  zone: string | undefined,
  { ports, underWay }: { readonly ports: PlanePorts; readonly underWay: UnderWay },
): Promise<Outcome> {
  const ask = readPasswordAsk(request.method, (name) => request.header(name));
  if (ask === "bad-method") return { reply: WRONG_METHOD, what: "method" };
  if (ask === "bad-request") return { reply: NOT_UNDERSTOOD, what: "bad-request" };
  if (ask === "ignore") return { reply: POSTED, what: "bad-request" };
  // Only the router itself hands passwords in, and it does not come this way.
  if (ask === "save") return { reply: POSTED, what: "refused" };
  // An acknowledgement takes the password away: a hint of who asks is not enough for that.
  const who = await ports.guests.find(request.peer, "certain", zone);
  if (who === "nobody") return { reply: NOTHING_PENDING, what: "nothing-pending" };
  if (who === "unsettled") return { reply: failed(502), what: "refused" };
  const { guest } = who;
  const end = underWay.begin(guest.mac);
  if (end === undefined) return { reply: failed(502), what: "refused", guest };
  const body = await ports
    .as(guest.address)
    .then((as) =>
      (ports.ask ?? askUpstream)({
        ...{ upstream: ports.upstream, as, method: "GET", path: "/", onEnd: end },
        headers: { DomU_Request: WORDS[ask] },
      }),
    )
    .then(readBody)
    .catch((): Failure => 502)
    .finally(end);
  // "There is none" would be believed; after an empty failure clients ask again.
  if (!(await who.isStill())) return { reply: failed(502), what: "refused" };
  if (typeof body === "number") return { reply: failed(body), what: "upstream", guest };
  return { ...outcomeOf(body, ask), guest };
}

/** The text of the upstream's answer, as far as it is one of the dialogue. */
async function readBody(answer: Answer | Failure): Promise<string | Failure> {
  if (typeof answer === "number") return answer;
  const isPage = answer.header("content-type")?.toLowerCase().includes("html") === true;
  if (answer.status !== 200 || isPage) {
    answer.close();
    return 502;
  }
  const bytes = await answer.read(PASSWORD_BYTES_MAX);
  if (typeof bytes === "number") return bytes;
  const text = Buffer.from(bytes)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (!Buffer.from(text).equals(Buffer.from(bytes).subarray(0, Buffer.byteLength(text))))
    return 502;
  return text === "" || text === SAVED_PASSWORD || isDeliverable(text) ? text : 502;
}

function outcomeOf(text: string, ask: keyof typeof WORDS): Omit<Outcome, "guest"> {
  // "Nothing" in the one word that all clients know: cloudbase-init asks five times after "".
  if (text === "" || text === SAVED_PASSWORD) {
    return { reply: NOTHING_PENDING, what: ask === "send" ? "nothing-pending" : "acknowledged" };
  }
  // To an acknowledgement the answer is never a password.
  if (ask === "acknowledge") return { reply: failed(502), what: "upstream" };
  const reply: Reply = { status: 200, body: text, type: "text/plain; charset=utf-8" };
  return { reply, what: "password-sent" };
}
