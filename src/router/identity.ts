/**
 * Who asks: decided once for each request, from the address that the kernel reports and, where the
 * network wants it, from the MAC address that the kernel has for it. Nothing that a guest writes
 * into its request has a say.
 *
 * - `audit`: who is known by the address is answered; a MAC address that is not the one of the
 *   lease is counted and named.
 * - `enforce`: it is refused, and so is an address for which the kernel knows nobody.
 * - An address that no source knows (a secondary one; in IPv6 privacy, link-local) is whoever has
 *   its MAC address, if that lies on the device that the address is on, a device of the instance's
 *   own network, and has not changed in the last minutes. Where the network enforces, the firewall
 *   must keep it so before anything is answered.
 *
 * A look-up in memory decides nearly always. What is missing or differs is read again, which takes
 * 50 ms at most and is done once for all who wait.
 */

import { contains, type Ip, type Mac } from "../model/address.ts";
import type { Conditions } from "../observe/conditions.ts";
import { Links } from "../platform/links.ts";
import { SETTLE_MS } from "../platform/neighbour-history.ts";
import type { Neighbour } from "../platform/neighbour-table.ts";
import type { Neighbours } from "../platform/neighbours.ts";
import { type Bound, canonicalPeer, type Directory, type Entry } from "./directory.ts";
import { Doubts } from "./doubts.ts";
import { isEnforced } from "./firewall/settings.ts";
import { comparesMac, isLoopback, type Policy } from "./policies.ts";

/** A guest waits longer for its password than for a word of the kernel. ms. */
const PATIENCE_MS = 5000;
const AGAIN_MS = 100;

export interface IdentityPorts {
  readonly directory: Directory;
  readonly conditions: Conditions;
  /** Who that is of whom nothing is known yet, while the source is read for the first time. */
  readonly hasten?: (peer: string) => Entry | undefined;
  /** `undefined` while no network compares MAC addresses. */
  readonly neighbours: () => Neighbours | undefined;
  /** For tests. */
  readonly quietMs?: number;
  /** For tests. */
  readonly links?: (devices: readonly string[]) => Pick<Links, "deviceOf">;
  /** Whether the router's own firewall is in force. */
  readonly guarded?: () => boolean;
  /**
   * Lets nobody but this MAC address ask from an address of a network that enforces. At once where
   * that holds already, or cannot be.
   */
  readonly keep?: (address: Ip, mac: Mac, device: string) => boolean | Promise<boolean>;
  /** The MAC address of a lease that the source does not know. */
  readonly leased?: (address: Ip) => Mac | undefined;
}

/** Who an address is taken for, and why. */
export interface Identified {
  readonly entry: Entry | undefined;
  /** As one sentence; absent where the address is all there is. */
  readonly evidence?: string;
}

export class Identity {
  readonly #ports: IdentityPorts;
  #policies: ReadonlyMap<string, Policy> = new Map();
  readonly #doubts: Doubts;
  #links: Pick<Links, "deviceOf"> = new Links([]);
  #mismatches = 0;
  #closed = false;

  constructor(ports: IdentityPorts) {
    this.#ports = ports;
    this.#doubts = new Doubts(ports.conditions, ports.quietMs);
  }

  /** Requests, since the start, from an address whose MAC address was not the one of its lease. */
  get mismatches(): number {
    return this.#mismatches;
  }

  setPolicies(policies: readonly Policy[]): void {
    const devices = [...new Set(policies.flatMap((policy) => policy.devices))];
    this.#links = this.#ports.links?.(devices) ?? new Links(devices);
    this.#policies = new Map(policies.map((policy) => [policy.id, policy]));
    this.leasesChanged();
  }

  /** What was said of a mismatch may no longer be true. */
  leasesChanged(): void {
    for (const [address, { seen }] of this.#doubts.entries()) {
      const entry = this.#ports.directory.find(address);
      if (entry?.kind !== "bound" || !this.#isOther(entry, seen)) this.#doubts.trust(address);
    }
  }

  /** The kernel knows somebody else at an address, or nobody any more. */
  neighbourChanged(address: Ip): void {
    if (this.#doubts.of(address) === undefined) return;
    const entry = this.#ports.directory.find(address);
    const policy = entry && this.#policyOf(entry);
    const neighbours = this.#ports.neighbours();
    if (entry?.kind !== "bound" || policy === undefined || neighbours === undefined) return;
    if (seenAt(neighbours, address, policy) === this.#leased(entry)) this.#doubts.trust(address);
  }

  /**
   * What is known of whoever asks. Mostly at once; later where the kernel must be asked.
   *
   * @param zone the device that a link-local peer is on
   */
  find(peer: string, zone?: string): Entry | undefined | Promise<Entry | undefined> {
    const entry = this.#ports.directory.find(peer) ?? this.#ports.hasten?.(peer);
    const neighbours = this.#ports.neighbours();
    if (neighbours === undefined) return entry;
    if (entry === undefined) return this.#byMac(peer, zone, neighbours);
    if (entry.kind !== "bound") return entry;
    const policy = this.#policyOf(entry);
    if (policy === undefined || !comparesMac(policy)) return entry;
    const leased = this.#leased(entry);
    if (leased === undefined || isLoopback(entry.address)) return entry;
    if (seenAt(neighbours, entry.address, policy) === leased) return entry;
    if (policy.macEvidence === "enforce") return this.#enforced(entry, policy, neighbours);
    this.#audited(entry, policy, neighbours);
    return entry;
  }

  /** As `find`, for whom "not yet" would be a lie: asks again for a while. */
  async findPatiently(peer: string, zone?: string): Promise<Entry | undefined> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const entry = await this.find(peer, zone);
      const isLate = entry?.kind === "withheld" && entry.reason === "mac-unknown";
      if (!isLate || this.#closed || performance.now() > until) return entry;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closed = true;
    this.#doubts.close();
  }

  /** Who that is, and why. Without a request: nothing is counted, and nothing raised. */
  async explain(address: Ip): Promise<Identified> {
    const known = this.#ports.directory.find(address) ?? this.#ports.hasten?.(address);
    const neighbours = this.#ports.neighbours();
    if (known === undefined) {
      const entry = neighbours && (await this.#byMac(address, undefined, neighbours, false));
      if (entry?.kind !== "bound") return { entry };
      const evidence = `its MAC address ${entry.mac} is the one that ${entry.address} is leased to`;
      return { entry, evidence };
    }
    const policy = this.#policyOf(known);
    if (known.kind !== "bound" || policy === undefined || isLoopback(address)) {
      return { entry: known };
    }
    const leased = this.#leased(known);
    const plain = notCompared(policy, leased, neighbours);
    if (leased === undefined || neighbours === undefined || plain !== undefined) {
      return { entry: known, ...(plain !== undefined && { evidence: plain }) };
    }
    const seen = await ask(neighbours, address, policy);
    const isRefused = isEnforced(policy) && seen !== leased;
    const reason = seen === "late" ? "mac-unknown" : "mac-mismatch";
    const entry = isRefused ? refused(known, reason) : known;
    if (!isRefused && isEnforced(policy) && this.#ports.guarded?.() === true) {
      return {
        entry,
        evidence: `the firewall lets nobody ask from it but ${leased}, by its lease`,
      };
    }
    return { entry, evidence: seenSentence(seen, leased) };
  }

  /** Before the source has said which networks there are, an address' range says which it is. */
  #policyOf({ network, address }: Entry): Policy | undefined {
    const known = this.#policies.get(network);
    if (known !== undefined || this.#policies.size === 0) return known;
    for (const policy of this.#policies.values()) if (isWithin(policy, address)) return policy;
    return undefined;
  }

  #leased({ mac, address }: Bound): Mac | undefined {
    return mac ?? this.#ports.leased?.(address);
  }

  #isOther(entry: Bound, seen: Mac | undefined): boolean {
    const leased = this.#leased(entry);
    const policy = this.#policyOf(entry);
    const compares = policy !== undefined && comparesMac(policy);
    return compares && seen !== undefined && leased !== undefined && seen !== leased;
  }

  /** Answered all the same. Reads again beside the answer, and tells of what differs then. */
  #audited(entry: Bound, policy: Policy, neighbours: Neighbours): void {
    const { address } = entry;
    const doubt = this.#doubts.of(address);
    if (doubt?.seen !== undefined) this.#mismatches++;
    if (doubt !== undefined && performance.now() < doubt.until) return;
    this.#doubts.add(address, doubt?.seen, doubt?.subject);
    void ask(neighbours, address, policy).then((seen) => {
      if (seen === "late") return;
      const now = this.#ports.directory.find(address);
      if (now?.kind !== "bound" || !this.#isOther(now, seen)) return this.#doubts.trust(address);
      if (doubt?.seen === undefined) this.#mismatches++;
      this.#doubts.mistrust(now, seen, this.#leased(now));
    });
  }

  /** Answered only if the kernel has the lease's MAC address there. */
  async #enforced(
    { address }: Bound,
    policy: Policy,
    neighbours: Neighbours,
  ): Promise<Entry | undefined> {
    const doubt = this.#doubts.of(address);
    const isFresh = doubt?.seen !== undefined && performance.now() < doubt.until;
    const seen = isFresh ? doubt.seen : await ask(neighbours, address, policy);
    const entry = this.#ports.directory.find(address); // Somebody else's by now, perhaps.
    if (entry?.kind !== "bound" || seen === this.#leased(entry)) {
      this.#doubts.trust(address);
      return entry;
    }
    if (seen === "late") return refused(entry, "mac-unknown");
    this.#mismatches++;
    if (seen !== undefined) this.#doubts.mistrust(entry, seen, this.#leased(entry));
    return refused(entry, "mac-mismatch");
  }

  #byMac(
    peer: string,
    zone: string | undefined,
    neighbours: Neighbours,
    keeps = true,
  ): Entry | undefined | Promise<Entry | undefined> {
    const address = canonicalPeer(peer);
    if (address === undefined || isLoopback(address) || !this.#isGuest(address)) return undefined;
    const device = this.#links.deviceOf(address, zone ?? peer.split("%")[1]);
    if (device === undefined) return undefined;
    const known = neighbours.at(address, device);
    const trust = neighbours.trust(address, device);
    const isNew = known === undefined || trust === "fresh";
    if (isNew) return this.#asked(address, device, neighbours, keeps);
    return trust === "changed" ? undefined : this.#kept(address, known, keeps);
  }

  /**
   * Where the network enforces, the kernel must see to it that the address stays whose it is.
   *
   * @param keeps whether that is done; else what would be
   */
  #kept(
    address: Ip,
    row: Neighbour,
    keeps: boolean,
  ): Entry | undefined | Promise<Entry | undefined> {
    const entry = this.#behind(address, row);
    const policy = entry && this.#policyOf(entry);
    if (policy === undefined || entry?.mac === undefined || !isEnforced(policy)) return entry;
    if (!keeps) return this.#ports.guarded?.() === true ? entry : undefined;
    const kept = this.#ports.keep?.(address, entry.mac, row.device) ?? false;
    if (typeof kept === "boolean") return kept ? entry : undefined;
    return kept.then((isKept) => {
      // Leased meanwhile, or its owner is another instance by now.
      if (this.#ports.directory.find(address) !== undefined) return this.find(address, row.device);
      return isKept ? this.#behind(address, row) : this.#unknown(address);
    });
  }

  #unknown(address: Ip): Entry {
    const network = this.#ports.directory.networkOf(address) ?? "";
    return { kind: "withheld", network, address, epoch: 0, reason: "mac-unknown", since: 0 };
  }

  /** Of whom the kernel knows nothing yet, or something new: its news may be on their way. */
  async #asked(
    address: Ip,
    device: string,
    neighbours: Neighbours,
    keeps: boolean,
  ): Promise<Entry | undefined> {
    const row = await neighbours.lookUpAt(address, device);
    if (row === undefined) return undefined;
    const isFresh = row !== "late" && neighbours.trust(address, device) === "fresh";
    if (isFresh) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    // Leased meanwhile: now it is compared with that.
    if (this.#ports.directory.find(address) !== undefined) return this.find(address, device);
    const trust = neighbours.trust(address, device);
    const now = neighbours.at(address, device) ?? row;
    if (now !== "late" && trust === "steady") {
      return this.#kept(address, now, keeps);
    }
    return trust === "changed" ? undefined : this.#unknown(address);
  }

  /** IPv6 ranges are seldom told, and change. */
  #isGuest(address: Ip): boolean {
    if (address.includes(":")) return true;
    for (const policy of this.#policies.values()) if (isWithin(policy, address)) return true;
    return false;
  }

  /** The one instance that has a MAC address in the network of a device. */
  #behind(address: Ip, { mac, device }: Neighbour): Bound | undefined {
    let found: Bound | undefined;
    for (const entry of this.#ports.directory.withMac(mac)) {
      const policy = this.#policyOf(entry);
      if (policy === undefined || !comparesMac(policy)) continue;
      if (!policy.devices.includes(device)) continue;
      // A secondary address is one of the network's own.
      if (!address.includes(":") && !isWithin(policy, address)) continue;
      if (found !== undefined && found.instance !== entry.instance) return undefined;
      // A NIC's first address is its own; others are secondary.
      found ??= entry;
    }
    return found;
  }
}

/** Why no MAC address is compared, as one sentence; `undefined` where one is. */
function notCompared(
  policy: Policy,
  leased: Mac | undefined,
  neighbours: Neighbours | undefined,
): string | undefined {
  if (policy.routed) return "guests of this network are routed, so no MAC address is compared";
  if (!comparesMac(policy)) return "macEvidence is off, so no MAC address is compared";
  if (leased === undefined) return "no lease names a MAC address for it";
  if (neighbours !== undefined) return undefined;
  return "only this machine can ask here: no MAC address is compared";
}

function seenSentence(seen: Mac | "late" | undefined, leased: Mac): string {
  if (seen === "late") return "the kernel has not said in time who is at this address";
  if (seen === undefined) return "the kernel's neighbour table has nobody at this address now";
  return seen === leased
    ? `the kernel's neighbour table has ${seen} there, as the lease says`
    : `the kernel's neighbour table has ${seen} there, but the lease says ${leased}`;
}

/** Known by the address, and told nothing. */
function refused(
  { network, address, epoch, mac }: Bound,
  reason: "mac-mismatch" | "mac-unknown",
): Entry {
  return {
    ...{ kind: "withheld", network, address, epoch, reason, since: 0 },
    ...(mac !== undefined && { mac }),
  };
}

function isWithin({ cidrs }: Policy, address: Ip): boolean {
  return cidrs.some((cidr) => contains(cidr, address));
}

/** The MAC address at an address, on the devices of its network only. */
function seenAt(neighbours: Neighbours, address: Ip, { devices }: Policy): Mac | undefined {
  if (devices.length < 2) return neighbours.find(address, devices[0]);
  for (const device of devices) {
    const mac = neighbours.find(address, device);
    if (mac !== undefined) return mac;
  }
  return undefined;
}

async function ask(
  neighbours: Neighbours,
  address: Ip,
  { devices }: Policy,
): Promise<Mac | "late" | undefined> {
  const places = devices.length === 0 ? [undefined] : devices;
  const found = await Promise.all(places.map((device) => neighbours.lookUpAt(address, device)));
  const row = found.find((each) => typeof each === "object");
  return row?.mac ?? (found.includes("late") ? "late" : undefined);
}
