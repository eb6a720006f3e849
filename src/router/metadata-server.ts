/**
 * The metadata port: decides who asks, answers, and keeps count. One look-up for the identity,
 * one for the path; no disk, no waiting.
 */

import type { HostsMode } from "../config/settings.ts";
import type { NetworkId } from "../model/binding.ts";
import type { Conditions } from "../observe/conditions.ts";
import { FORBIDDEN, type Reply } from "../protocol/http.ts";
import { type Asker, answerMetadata } from "../protocol/metadata.ts";
import { route } from "../protocol/path.ts";
import type { Entry } from "./directory.ts";
import { isAllowedHost, UnexpectedHosts } from "./hosts.ts";
import type { Handler, RimReply, RimRequest } from "./http/rim.ts";
import type { Traffic } from "./traffic.ts";

/** How long "not yet" is the answer before the source has been read once. ms. */
export const LOADING_MAX_MS = 120_000;

/** How long "not yet" is the answer between a new MAC and the new metadata. ms. */
export const AWAITING_METADATA_MAX_MS = 30_000;

export interface MetadataPorts {
  /** What is known of a peer, by the address that the kernel reports. */
  readonly find: (peer: string) => Entry | undefined | Promise<Entry | undefined>;
  readonly traffic: Traffic;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** While the source has not been read: since when. */
  readonly loadingSince: () => number | undefined;
  /** Whether an address of which nothing is known is told to wait; absent: it is not. */
  readonly waits?: (peer: string) => boolean;
  readonly hosts: {
    readonly mode: (network: NetworkId | undefined) => HostsMode;
    readonly allowed: () => ReadonlySet<string>;
  };
}

export function metadataHandler(ports: MetadataPorts): Handler {
  const { find, traffic, hosts, conditions } = ports;
  const unexpected = new UnexpectedHosts(conditions);
  const answer = (request: RimRequest, entry: Entry | undefined): RimReply => {
    const address = request.peer ?? "";
    const asked = route(request.target);
    let reply: Reply;
    const who = (): Asker => asker(entry, address, ports);
    const mode = hosts.mode(entry?.network);
    if (mode !== "any" && !isAllowedHost(request.header("host"), hosts.allowed())) {
      unexpected.saw(entry?.network ?? "guests of no network", request.header("host") ?? "");
      reply = mode === "enforce" ? FORBIDDEN : answerMetadata(who(), asked, request);
    } else reply = answerMetadata(who(), asked, request);
    const access = {
      plane: "metadata",
      address,
      via: request.via,
      network: entry?.network,
      instance: entry?.kind === "bound" ? entry.instance : undefined,
      name: entry?.kind === "bound" ? entry.name : undefined,
      what: asked.kind,
      status: reply.status,
    } as const;
    if (isStored(reply.body)) {
      return { ...reply, onStatus: (status) => traffic.record({ ...access, status }) };
    }
    traffic.record(access);
    return reply;
  };
  return (request) => {
    const entry = find(request.peer ?? "");
    return entry instanceof Promise
      ? entry.then((entry) => answer(request, entry))
      : answer(request, entry);
  };
}

/** What an address is answered as, now. */
export function asker(
  entry: Entry | undefined,
  address: string,
  { now, loadingSince, waits }: Pick<MetadataPorts, "now" | "loadingSince" | "waits">,
): Asker {
  if (entry?.kind === "bound") return entry.document;
  if (entry?.reason === "mac-unknown") return "not-yet";
  if (entry?.reason === "awaiting-metadata") {
    return now() - entry.since < AWAITING_METADATA_MAX_MS ? "not-yet" : "unknown";
  }
  const since = loadingSince();
  if (since !== undefined && now() - since < LOADING_MAX_MS) return "not-yet";
  return entry === undefined && waits?.(address) === true ? "not-yet" : "unknown";
}

/** Only then may a 200 still become a 500. */
function isStored(body: Reply["body"]): boolean {
  return typeof body === "object" && !(body instanceof Uint8Array);
}
