/**
 * The metadata port of the bridge: who asks is decided first, then what. Only paths that metadata
 * has, only GET and HEAD, only one header of the guest's go upstream.
 */

import type { Ip } from "../model/address.ts";
import type { Body } from "../model/binding.ts";
import type { ContentType, Reply } from "../protocol/http.ts";
import { METHOD_NOT_ALLOWED, NOT_FOUND, NOT_YET } from "../protocol/http.ts";
import { canonicalPath, type Route, route } from "../protocol/path.ts";
import type { Guests } from "./guests.ts";
import type { Target } from "./kernel.ts";
import { AT_ONCE_BYTES_MAX, UNFRAMED_BYTES_MAX, VALIDATOR_MAX } from "./limits.ts";
import type { Answered, BridgeHandler, BridgeReply, BridgeRequest } from "./ports.ts";
import { UnderWay } from "./under-way.ts";
import { type Answer, type As, askUpstream, type Failure } from "./upstream.ts";

export interface PlanePorts {
  readonly guests: Pick<Guests, "find">;
  readonly upstream: Target;
  /** As whom the upstream is asked for a guest. */
  readonly as: (guest: Ip) => Promise<As>;
  readonly onAnswer: (answered: Answered) => void;
  /** For tests. */
  readonly ask?: typeof askUpstream;
}

/** Makes the name of each large body its own. */
let bodies = 0;

export function metadataBridge(ports: PlanePorts): BridgeHandler {
  const underWay = new UnderWay();
  return async (request, zone) => {
    const peer = request.peer ?? "";
    const who = await ports.guests.find(request.peer, "hint", zone);
    const asked = route(request.target);
    const guest = typeof who === "string" ? undefined : who.guest;
    const answered = {
      plane: "metadata" as const,
      ...{ peer, device: guest?.device, guest: guest?.address, what: asked.kind },
    };
    const done = (reply: BridgeReply): BridgeReply => {
      ports.onAnswer({ ...answered, status: reply.status });
      return reply;
    };
    if (typeof who === "string") return done(who === "nobody" ? NOT_FOUND : NOT_YET);
    if (asked.kind === "nothing") return done(NOT_FOUND);
    if (request.method !== "GET" && request.method !== "HEAD") return done(METHOD_NOT_ALLOWED);
    const end = underWay.begin(who.guest.mac);
    if (end === undefined) return done(NOT_YET);
    const reply = await forward(request, { ports, asked, address: who.guest.address, end });
    // Whose it is must hold until it is sent: an address may pass to another meanwhile.
    if (!(await who.isStill())) {
      reply.close();
      return done(NOT_YET);
    }
    if (!reply.isDeferred) return done(reply.reply);
    const onStatus = (status: number) => ports.onAnswer({ ...answered, status });
    return { ...reply.reply, onStatus };
  };
}

interface Forwarding {
  readonly ports: PlanePorts;
  readonly asked: Route;
  readonly address: Ip;
  readonly end: () => void;
}

interface Forwarded {
  readonly reply: Reply;
  /** Whether the body is still to be fetched. */
  readonly isDeferred: boolean;
  close(): void;
}

async function forward(request: BridgeRequest, how: Forwarding): Promise<Forwarded> {
  const { ports, address, end } = how;
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const path = canonicalPath(request.target);
  const answer = await ports
    .as(address)
    .then((as) =>
      (ports.ask ?? askUpstream)({
        ...{ upstream: ports.upstream, as, method, path, onEnd: end },
        headers: validators(request),
      }),
    )
    .catch((): Failure => {
      end();
      return 502;
    });
  if (typeof answer === "number") return whole(failed(answer));
  return replyOf(answer, how.asked, method);
}

/** The one header of a guest's that is passed on, where it is one. */
function validators(request: BridgeRequest): Readonly<Record<string, string>> {
  const etag = request.header("if-none-match");
  const isOne = etag !== undefined && etag.length <= VALIDATOR_MAX && /^[\x20-\x7e]+$/.test(etag);
  return isOne ? { "if-none-match": etag } : {};
}

async function replyOf(answer: Answer, asked: Route, method: string): Promise<Forwarded> {
  const { status, length } = answer;
  if (status !== 200) {
    answer.close();
    return whole(withoutBody(answer));
  }
  const fields = { status, type: typeOf(answer, asked), ...etagOf(answer) };
  const isLarge = (length ?? 0) > AT_ONCE_BYTES_MAX || (method === "HEAD" && length !== undefined);
  if (!isLarge) {
    const body = await answer.read(UNFRAMED_BYTES_MAX);
    return whole(typeof body === "number" ? failed(body) : { ...fields, body });
  }
  if (method === "HEAD") answer.close();
  const body: Body = {
    ...{ length: length ?? 0, hash: `bridge ${++bodies}` },
    async read() {
      const bytes = await answer.read(length ?? 0);
      if (typeof bytes === "number") throw new Error("the upstream did not send all of it");
      return bytes;
    },
  };
  return { reply: { ...fields, body }, isDeferred: true, close: () => answer.close() };
}

/**
 * A page about an error would be taken for a key by some clients, so it stays here. A redirection
 * names an address that the guest cannot reach.
 */
function withoutBody(answer: Answer): Reply {
  const { status } = answer;
  if (status === 304) return { status, ...etagOf(answer) };
  if (status < 400) return status < 300 ? failed(502) : NOT_FOUND;
  const retryAfter = Number(answer.header("retry-after"));
  const isUsable = status === 503 && Number.isInteger(retryAfter) && retryAfter > 0;
  return isUsable ? { status, retryAfter } : { status };
}

/** As sent: a virtual router's lacks its last quote, and is recognised by it all the same. */
function etagOf(answer: Answer): { readonly etag?: string } {
  const etag = answer.header("etag");
  const isOne = etag !== undefined && etag.length <= VALIDATOR_MAX && /^[\x21-\x7e]+$/.test(etag);
  return isOne ? { etag } : {};
}

/** The virtual router names none; what it names for a page is not for guests. */
function typeOf(answer: Answer, asked: Route): ContentType {
  if (asked.kind === "user-data") return "application/octet-stream";
  const said = answer.header("content-type") ?? "";
  return said.startsWith("application/json") ? "application/json" : "text/plain; charset=utf-8";
}

/** Every client asks again after a 5xx; after a 404 it would believe that there is nothing. */
export function failed(failure: Failure): Reply {
  return failure === 502 ? BAD_GATEWAY : GATEWAY_TIMEOUT;
}

const BAD_GATEWAY: Reply = { status: 502 };
const GATEWAY_TIMEOUT: Reply = { status: 504 };

function whole(reply: Reply): Forwarded {
  return { reply, isDeferred: false, close: () => {} };
}
