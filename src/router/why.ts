/**
 * Explains an answer: who an address is, by which evidence, from which record, and what it would
 * be told. It tells lengths and validators, never a value.
 */

import { join, resolve } from "node:path";
import { type Ip, tryParseIp } from "../model/address.ts";
import type { WithholdReason } from "../model/binding.ts";
import { lookUp } from "../protocol/document.ts";
import type { GuestRequest, Reply } from "../protocol/http.ts";
import { answerMetadata } from "../protocol/metadata.ts";
import { type Route, route } from "../protocol/path.ts";
import { parseKeys } from "../protocol/public-keys.ts";
import { isLeaseCommanded } from "../source/databag/evidence.ts";
import type { Bound, Directory, Entry } from "./directory.ts";
import type { Identified } from "./identity.ts";
import { isStore } from "./instances.ts";
import { asker, LOADING_MAX_MS, type MetadataPorts } from "./metadata-server.ts";
import { nearby } from "./nearby.ts";
import type { Passwords } from "./passwords.ts";

/** By what it is known who an address is. */
export interface Evidence {
  /** What the router was started with: `databag:DIR`, `file:PATH` or `sqlite:PATH`. */
  readonly source: string;
  /** The file or the command that gave the lease, or took it; absent where leases play no part. */
  readonly lease: string | undefined;
  /** The file or the command that has the instance's metadata. */
  readonly metadata: string | undefined;
  /** Under which name it stands there: the record's id, or the address in a databag. */
  readonly entry: string | undefined;
  /** What the kernel knows of the address, as one sentence; absent where that plays no part. */
  readonly kernel: string | undefined;
  /** What is wrong with the source now, as its conditions say. */
  readonly trouble: readonly string[];
  /** The source has not been read whole in this run, so an earlier run's word may be what holds. */
  readonly remembered: boolean;
}

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
  readonly evidence: Evidence;
  /** One sentence: why the answer is what it is. */
  readonly reason: string;
  /** What to do, where something is wrong. */
  readonly advice: string | undefined;
  /** Where nothing is at the path: one that is there, and near. */
  readonly nearest: string | undefined;
  readonly password: "pending" | "none";
  /** An operator has closed user data and password to the guest. */
  readonly sealed: boolean;
  readonly request: { readonly path: string; readonly kind: string };
  readonly reply: {
    readonly status: number;
    readonly type: string | undefined;
    readonly bytes: number;
    readonly etag: string | undefined;
  };
}

export interface WhyPorts extends Pick<MetadataPorts, "now" | "loadingSince" | "waits"> {
  readonly source: string;
  readonly directory: Pick<Directory, "networkOf">;
  /** What is wrong with the source now. */
  readonly troubles: () => readonly string[];
  /** Who an address is taken for. */
  readonly identify: (address: Ip) => Promise<Identified>;
  readonly passwords: Pick<Passwords, "pending">;
}

/** @returns `undefined` if `ip` is not an IP address. */
export async function explain(ip: string, path: string, ports: WhyPorts): Promise<Why | undefined> {
  const address = tryParseIp(ip);
  if (address === undefined) return undefined;
  const { entry, evidence: kernel } = await ports.identify(address);
  const who = asker(entry, address, ports);
  const asked = route(path);
  const request: GuestRequest = { method: "GET", target: path, header: () => undefined };
  const reply = answerMetadata(who, asked, request);
  const isShut = isSealed(entry) && CLOSED.has(asked.kind);
  const isNothing = reply.status === 404 && !isShut;
  const nothing = entry?.kind === "bound" && isNothing ? entry : undefined;
  const near = nothing && nearby(path, nothing.document);
  const { reason, advice } =
    nothing === undefined
      ? reasonOf(entry, { reply, isShut }, ports)
      : nothingThere(nothing, asked, near);
  return {
    address,
    network: entry?.network ?? ports.directory.networkOf(address),
    identity: entry?.kind ?? "unknown",
    instance: entry?.kind === "bound" ? entry.instance : undefined,
    name: entry?.kind === "bound" ? entry.name : undefined,
    mac: entry?.mac,
    epoch: entry?.epoch,
    record: entry?.kind === "bound" ? `${entry.origin.kind}:${entry.origin.place}` : undefined,
    evidence: evidenceOf(entry, kernel, ports),
    reason,
    advice,
    nearest: near,
    password: hasPassword(entry, ports) ? "pending" : "none",
    sealed: isSealed(entry),
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
  if (entry === undefined || isSealed(entry)) return false;
  return passwords.pending(entry.network, entry.address, entry.epoch) !== undefined;
}

function isSealed(entry: Entry | undefined): boolean {
  return entry?.kind === "bound" && entry.sealed === true;
}

interface Reason {
  readonly reason: string;
  readonly advice?: string;
}

function reasonOf(
  entry: Entry | undefined,
  { reply: { status }, isShut }: { readonly reply: Reply; readonly isShut: boolean },
  ports: WhyPorts,
): Reason {
  if (entry?.kind === "bound" && isShut) return closed(entry, status);
  if (entry?.kind === "bound") return { reason: "the address is bound to this instance" };
  if (status === 503 && entry === undefined && !isLoading(ports)) return NEWCOMER;
  if (status === 503 && entry?.reason !== "awaiting-metadata") {
    return {
      reason: "the source has not been read yet, so the guest is told to wait (503)",
      advice: "see the conditions for what keeps the source from being read",
    };
  }
  if (entry === undefined && ports.loadingSince() !== undefined) return UNREAD;
  if (entry === undefined && isStore(ports.source)) return UNSTORED;
  if (entry === undefined) return ports.source.startsWith("file:") ? UNWRITTEN : UNKNOWN;
  return entry.reason === "awaiting-metadata" && status === 503 ? AWAITED : WITHHELD[entry.reason];
}

/** What a sealed instance is not told. */
const CLOSED: ReadonlySet<Route["kind"]> = new Set(["user-data", "payload"] as const);

function closed({ network, instance }: Bound, status: number): Reason {
  const what = status === 404 ? "payloads, so there are none (404)" : "user data: empty (200)";
  const place = `${word(instance)} --network ${word(network)}`;
  return {
    reason: `the instance is sealed: an operator has closed its ${what}`,
    advice: `install it anew, or: frontdesk instances open ${place}`,
  };
}

/** For a shell: an id may be any line of text. */
function word(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function isLoading({ now, loadingSince }: WhyPorts): boolean {
  const since = loadingSince();
  return since !== undefined && now() - since < LOADING_MAX_MS;
}

function nothingThere({ document }: Bound, { kind }: Route, near: string | undefined): Reason {
  const keys = parseKeys(lookUp(document, "public-keys") ?? "");
  if (keys.length === 0 && BELOW_KEYS.has(kind)) {
    return {
      reason: "the address is bound to this instance, which has no SSH key (404)",
      advice: "give the instance a key in CloudStack, or ask for public-keys without the slash",
    };
  }
  if (kind === "payload") {
    return {
      reason: "the address is bound to this instance, which is given no such payload (404)",
      advice: "see the conditions for PAYLOAD_LACKING; else frontdesk payload attach gives it one",
    };
  }
  const lists = "/latest/meta-data/ lists the keys, /latest/ what else there is";
  return {
    reason: "the address is bound to this instance, which has nothing at this path (404)",
    advice: near === undefined ? lists : `did you mean ${near}? ${lists}`,
  };
}

/** What is there only with an SSH key. */
const BELOW_KEYS: ReadonlySet<Route["kind"]> = new Set([
  "key-names",
  "key-forms",
  "openssh-key",
] as const);

function evidenceOf(
  entry: Entry | undefined,
  kernel: string | undefined,
  { source, loadingSince, troubles }: WhyPorts,
): Evidence {
  const dir = /^databag:(.+)$/s.exec(source)?.[1];
  const said = (name: string): string => (dir === undefined ? name : join(resolve(dir), name));
  const origin = entry?.kind === "bound" ? entry.origin : undefined;
  let metadata = origin?.place;
  if (origin?.kind === "apply") metadata = `a ${origin.place} command`;
  else if (metadata !== undefined) metadata = said(metadata);
  let lease: string | undefined;
  if (dir !== undefined && entry !== undefined && hasLease(entry)) {
    lease = isLeaseCommanded(entry) ? "a vm_dhcp_entry command" : said("dhcpentry.json");
  }
  const remembered = loadingSince() !== undefined;
  const trouble = troubles();
  return { source, lease, metadata, entry: nameAt(entry), kernel, trouble, remembered };
}

function nameAt(entry: Entry | undefined): string | undefined {
  if (entry?.kind !== "bound") return undefined;
  const { kind } = entry.origin;
  return kind === "file" || kind === "store" ? entry.instance : entry.address;
}

/** One that is missing where others are, or is marked as removed, is evidence too. */
function hasLease(entry: Entry): boolean {
  if (entry.mac !== undefined || entry.kind === "bound") return entry.mac !== undefined;
  return entry.reason === "no-lease" || entry.reason === "lease-removed";
}

const UNKNOWN: Reason = {
  reason: "no source knows this address, so every path is 404",
  advice: "check the address the guest asks from, and that CloudStack has sent its metadata",
};
const UNWRITTEN: Reason = {
  reason: "no record of the file has this address, so every path is 404",
  advice: "check the address the guest asks from, or add it to a record of the file",
};
const UNSTORED: Reason = {
  reason: "no record of the store has this address, so every path is 404",
  advice: "check the address the guest asks from, and that the store has its instance",
};
const NEWCOMER: Reason = {
  reason: "the store does not know this address yet: 503 for 30 s from its first request, then 404",
  advice: "wait until the instance is in the store, or check the address the guest asks from",
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
    reason: "two instances claim this address, or two networks have it: nobody is answered (404)",
    advice: "give one of them another address, or its network a router of its own (--network)",
  },
  "mac-unknown": {
    reason: "the kernel has not said in time whose MAC address it has: 503, and asked again",
    advice: "give the router more CPU, if this lasts",
  },
  "mac-mismatch": {
    reason: "its MAC address is not the one of its lease, so every path is 404",
    advice: "find who has that MAC address; where that is right, start the instance again",
  },
  "awaiting-metadata": {
    reason: "its lease has a new MAC and the metadata never followed, so every path is 404",
    advice: "start the instance again, so that CloudStack sends its metadata",
  },
};

function lengthOf(body: Reply["body"]): number {
  return typeof body === "string" ? Buffer.byteLength(body) : (body?.length ?? 0);
}
