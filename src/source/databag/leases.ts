/**
 * The leases in force: those of dhcpentry.json, those that commands brought since, and those that
 * the databag has lost without saying that they were given back.
 *
 * CloudStack replaces a databag that it cannot read by an empty one and merges into that. So many
 * leases that vanish at once are still leases; a single one is gone.
 */

import { type Ip, type Mac, tryParseIp, tryParseMac } from "../../model/address.ts";
import { lostMost } from "../replaced.ts";
import type { Bag, Delta, Value } from "./bag.ts";
import type { Lease } from "./bindings.ts";

/** What is kept of an entry of dhcpentry.json: a lease, or why it is none. */
export type LeaseEntry =
  | Lease
  | { readonly removed?: undefined; readonly mac?: undefined; readonly flaw?: string };

/** @throws {SyntaxError} if the value is no JSON. */
export function readLeaseEntry({ key, raw, refused }: Value): LeaseEntry {
  if (refused !== undefined) return { flaw: refused };
  const value: unknown = JSON.parse(raw.toString());
  if (tryParseIp(key) !== key) return key === "id" ? {} : { flaw: "is not at an address" };
  return readLease(value) ?? { flaw: "is no lease with a MAC address" };
}

/** A lease as CloudStack writes it; `undefined` if it is none. */
export function readLease(value: unknown): Lease | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { mac_address, remove, host_name } = value as Record<string, unknown>;
  const mac = tryParseMac(mac_address);
  const removed = remove === true || remove === "true";
  if (mac === undefined) return removed && mac_address === undefined ? { removed } : undefined;
  return typeof host_name === "string"
    ? { mac, removed, name: nameHash(host_name) }
    : { mac, removed };
}

/** Equal for equal host names: small, because each lease has one. FNV-1a, 32 bits. */
export function nameHash(name: string): number {
  let hash = 0x811c9dc5;
  for (const character of name.toLowerCase()) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return hash;
}

export class Leases {
  readonly #bag: Bag<LeaseEntry>;
  readonly #inForce = new Map<Ip, Lease>();
  /** Where a MAC has a lease that is not given back. */
  readonly #byMac = new Map<Mac, Ip>();
  /** Those that the databag has lost. */
  readonly #kept = new Set<Ip>();
  /** Of those that a command brought: what the databag said of the address then. */
  readonly #commanded = new Map<Ip, string>();
  /** Those of an earlier run that the databag was not asked for yet. */
  readonly #restored = new Set<Ip>();
  #known = false;

  constructor(bag: Bag<LeaseEntry>) {
    this.#bag = bag;
  }

  /** Whether there ever were leases: then an address without one is not served. */
  get known(): boolean {
    return this.#known;
  }

  /** How many the databag has lost. */
  get lost(): number {
    return this.#kept.size;
  }

  get(address: Ip): Lease | undefined {
    return this.#inForce.get(address);
  }

  /** Of a lease that a command brought: what the databag said of the address then. */
  commandedOver(address: Ip): string | undefined {
    return this.#commanded.get(address);
  }

  /** Takes back a lease that an earlier run knew, before the databag is read. */
  restore(address: Ip, lease: Lease | undefined, commandedOver: string | undefined): void {
    if (lease !== undefined) this.#set(address, lease);
    this.#restored.add(address);
    if (commandedOver !== undefined) this.#commanded.set(address, commandedOver);
    this.#known = true;
  }

  /**
   * Takes over what the databag says now.
   *
   * Yields whenever others may run, commands among them; it must be run to its end.
   *
   * @param isOvertaken whether a command is newer than what the databag says of an address
   * @param touch is told the addresses whose leases are others
   */
  *update(
    { changes }: Delta<LeaseEntry>,
    isOvertaken: (address: Ip) => boolean,
    touch: (address: Ip) => void,
  ): Generator<void> {
    const before = this.#inForce.size - this.#kept.size;
    const vanished: Ip[] = [];
    for (const { key, after } of changes) {
      yield;
      const address = tryParseIp(key);
      if (address !== key) continue;
      this.#restored.delete(address);
      if (isOvertaken(address)) this.#commanded.set(address, after?.digest ?? "");
      if (this.#isCommanded(address, after?.digest)) continue;
      if (after === undefined) vanished.push(address);
      else if (after.data.removed !== undefined) this.#take(address, after.data, touch);
    }
    for (const address of this.#restored) {
      if (!this.#isCommanded(address, undefined)) vanished.push(address);
    }
    this.#restored.clear();
    this.#letGo(vanished, before, touch);
  }

  /**
   * Takes over what a command says.
   *
   * @param lease `undefined` where the lease is deleted, not given back
   * @returns the addresses whose leases may be others.
   */
  command(address: Ip, lease: Lease | undefined): Ip[] {
    const touched = new Set<Ip>([address]);
    const touch = (other: Ip): unknown => touched.add(other);
    const said = this.#bag.get(address);
    // What the databag says already needs no holding.
    const isSaid = lease !== undefined && said !== undefined && isSame(said.data, lease);
    if (isSaid) this.#commanded.delete(address);
    else this.#commanded.set(address, said?.digest ?? "");
    if (lease === undefined) this.#delete(address, touch);
    else {
      const other = lease.mac && this.#byMac.get(lease.mac);
      // CloudStack keeps one lease for a MAC.
      if (other !== undefined && other !== address) {
        this.#commanded.set(other, this.#bag.get(other)?.digest ?? "");
        this.#delete(other, touch);
      }
      this.#take(address, lease, touch);
    }
    return [...touched];
  }

  #take(address: Ip, lease: Lease, touch: (address: Ip) => void): void {
    const former = this.#inForce.get(address);
    this.#known = true;
    this.#kept.delete(address);
    if (former === undefined || !isSame(former, lease)) touch(address);
    const other = lease.mac && this.#byMac.get(lease.mac);
    // A lease that the databag had lost, and whose MAC is elsewhere now, was not lost.
    if (other !== undefined && other !== address && this.#kept.has(other)) {
      this.#delete(other, touch);
    }
    this.#set(address, lease);
  }

  /** Whether a command holds, because the databag says what it said when the command came. */
  #isCommanded(address: Ip, digest = ""): boolean {
    const over = this.#commanded.get(address);
    if (over === undefined) return false;
    if (over === digest) return true;
    this.#commanded.delete(address);
    return false;
  }

  /** Decides of leases that vanished together: gone, or lost by the databag. */
  #letGo(vanished: readonly Ip[], before: number, touch: (address: Ip) => void): void {
    const known = vanished.filter((address) => this.#inForce.has(address));
    const left = before - known.length;
    const isEmpty = this.#inForce.size - this.#kept.size === known.length;
    const isReplaced = isEmpty || lostMost(before, left);
    for (const address of known) {
      const lease = this.#inForce.get(address);
      const isElsewhere = lease?.mac !== undefined && this.#byMac.get(lease.mac) !== address;
      if (isReplaced && lease?.removed === false && !isElsewhere) this.#kept.add(address);
      else this.#delete(address, touch);
    }
  }

  #set(address: Ip, lease: Lease): void {
    this.#forgetMac(address);
    this.#inForce.set(address, lease);
    if (lease.mac !== undefined && !lease.removed) this.#byMac.set(lease.mac, address);
  }

  #delete(address: Ip, touch: (address: Ip) => void): void {
    this.#forgetMac(address);
    this.#kept.delete(address);
    if (this.#inForce.delete(address)) touch(address);
  }

  #forgetMac(address: Ip): void {
    const mac = this.#inForce.get(address)?.mac;
    if (mac !== undefined && this.#byMac.get(mac) === address) this.#byMac.delete(mac);
  }
}

function isSame(a: LeaseEntry, b: Lease): boolean {
  return a.removed === b.removed && a.mac === b.mac;
}
