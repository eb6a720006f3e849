/**
 * Explains an answer: who an address is, by which evidence, from which record, and what it would
 * be told. It tells lengths and validators, never a value.
 */

import { tryParseIp } from "../model/address.ts";
import type { WithholdReason } from "../model/binding.ts";
import type { GuestRequest, Reply } from "../protocol/http.ts";
import { answerMetadata } from "../protocol/metadata.ts";
import { route } from "../protocol/path.ts";
import type { Directory, Entry } from "./directory.ts";
import { asker, type MetadataPorts } from "./metadata-server.ts";
import type { Passwords } from "./passwords.ts";

export interface Why {
  readonly address: string;
  readonly network: string | undefined;
  readonly identity: "bound" | "withheld" | "unknown";
  readonly instance: string | undefined;
  readonly name: string | undefined;
  readonly mac: string | undefined;
  readonly epoch: number | undefined;
  /** Which record it comes from. */
  readonly record: string | undefined;
  /** One sentence: why the answer is what it is. */
  readonly reason: string;
  /** What to do, where something is wrong. */
  readonly advice: string | undefined;
  readonly password: "pending" | "none";
  readonly request: { readonly path: string; readonly kind: string };
  readonly reply: {
    readonly status: number;
    readonly type: string | undefined;
    readonly bytes: number;
    readonly etag: string | undefined;
  };
}

export interface WhyPorts extends Pick<MetadataPorts, "now" | "loadingSince"> {
  readonly directory: Directory;
  readonly passwords: Pick<Passwords, "pending">;
}

/** @returns `undefined` if `ip` is not an IP address. */
export function explain(ip: string, path: string, ports: WhyPorts): Why | undefined {
  const address = tryParseIp(ip);
  if (address === undefined) return undefined;
  const entry = ports.directory.find(address);
  const who = asker(entry, ports);
  const asked = route(path);
  const request: GuestRequest = { method: "GET", target: path, header: () => undefined };
  const reply = answerMetadata(who, asked, request);
  const { reason, advice } = reasonOf(entry, reply, ports);
  return {
    address,
    network: entry?.network ?? ports.directory.networkOf(address),
    identity: entry?.kind ?? "unknown",
    instance: entry?.kind === "bound" ? entry.instance : undefined,
    name: entry?.kind === "bound" ? entry.name : undefined,
    mac: entry?.mac,
    epoch: entry?.epoch,
    record: entry?.kind === "bound" ? `${entry.origin.kind}:${entry.origin.place}` : undefined,
    reason,
    advice,
    password: hasPassword(entry, ports) ? "pending" : "none",
    request: { path, kind: asked.kind },
    reply: {
      status: reply.status,
      type: reply.type,
      bytes: lengthOf(reply.body),
      etag: reply.etag,
    },
  };
}

function hasPassword(entry: Entry | undefined, { passwords }: WhyPorts): boolean {
  if (entry === undefined) return false;
  return passwords.pending(entry.network, entry.address, entry.epoch) !== undefined;
}

interface Reason {
  readonly reason: string;
  readonly advice?: string;
}

function reasonOf(entry: Entry | undefined, { status }: Reply, ports: WhyPorts): Reason {
  if (entry?.kind === "bound") {
    if (status === 200) return { reason: "the address is bound to this instance" };
    return {
      reason: "the address is bound to this instance, which has nothing at this path (404)",
    };
  }
  if (status === 503 && entry?.reason !== "awaiting-metadata") {
    return {
      reason: "the source has not been read yet, so the guest is told to wait (503)",
      advice: "see the conditions for what keeps the source from being read",
    };
  }
  if (entry === undefined) return ports.loadingSince() === undefined ? UNKNOWN : UNREAD;
  return entry.reason === "awaiting-metadata" && status === 503 ? AWAITED : WITHHELD[entry.reason];
}

const UNKNOWN: Reason = {
  reason: "no source knows this address, so every path is 404",
  advice: "check the address the guest asks from, and that CloudStack has sent its metadata",
};
const UNREAD: Reason = {
  reason: "the source could not be read for two minutes, so an unknown address gets 404",
  advice: "see the conditions for what keeps the source from being read",
};
const AWAITED: Reason = {
  reason: "its lease has a new MAC and the metadata is still the former instance's: 503 for 30 s",
  advice: "start the instance again, so that CloudStack sends its metadata",
};
const WITHHELD: Readonly<Record<WithholdReason, Reason>> = {
  "lease-removed": {
    reason: "its lease is marked as removed, so the instance is gone and every path is 404",
    advice: "start the instance again, so that CloudStack sends its lease",
  },
  "no-lease": {
    reason: "there are leases, and none for this address, so every path is 404",
    advice: "start the instance again, so that CloudStack sends its lease",
  },
  conflict: {
    reason: "two instances claim this address, so neither is answered (404)",
    advice: "give one of them another address",
  },
  "awaiting-metadata": {
    reason: "its lease has a new MAC and the metadata never followed, so every path is 404",
    advice: "start the instance again, so that CloudStack sends its metadata",
  },
};

function lengthOf(body: Reply["body"]): number {
  return typeof body === "string" ? Buffer.byteLength(body) : (body?.length ?? 0);
}
