/**
 * Addresses of which nothing is known yet, though a network has them: a guest may ask before the
 * store has heard of it, and takes "not found" for the last word.
 *
 * So the first requests of such an address are answered "not yet", for 30 s from the first one on,
 * whatever it asks meanwhile. Both tables are bounded. When they are full, the answer is "not
 * found": nobody fills the memory, and nobody is kept waiting for ever.
 */

import { contains, type Ip } from "../model/address.ts";
import { type Change, placeOf } from "../model/change.ts";
import { canonicalPeer, type Directory } from "./directory.ts";
import type { Evidence } from "./evidence.ts";

/** An instance that starts is in the store by then. ms. */
export const NEWCOMER_MS = 30_000;

/** Who was silent for so long is new again: another instance may have the address. ms. */
const SILENT_MS = 600_000;

/** Addresses in each of the tables: more than start at once, some 2 MiB. */
const ADDRESSES_MAX = 16_384;

export interface NewcomersOptions {
  /** Whether a network has the address. */
  readonly isGuests: (address: Ip) => boolean;
  /** Milliseconds, by any clock. */
  readonly now: () => number;
  readonly addressesMax?: number;
}

interface Seen {
  readonly first: number;
  readonly last: number;
}

export class Newcomers {
  readonly #options: NewcomersOptions;
  /** Who has asked, the one that asked last at the end. */
  readonly #seen = new Map<Ip, Seen>();
  /** Addresses of instances that are gone, and when they went or asked last. */
  readonly #gone = new Map<Ip, number>();

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  /** An address of which nothing is known asks. @returns whether it is to be told "not yet" */
  ask(peer: string): boolean {
    const address = canonicalPeer(peer);
    if (address === undefined) return false;
    const now = this.#options.now();
    this.#forget(now);
    if (this.#gone.has(address)) {
      putLast(this.#gone, address, now);
      return false;
    }
    const seen = this.#seen.get(address);
    const { isGuests, addressesMax = ADDRESSES_MAX } = this.#options;
    if (seen === undefined && (this.#seen.size >= addressesMax || !isGuests(address))) return false;
    const first = seen?.first ?? now;
    putLast(this.#seen, address, { first, last: now });
    return now - first < NEWCOMER_MS;
  }

  /** What `ask` would answer, without being a request. */
  wouldWait(address: Ip): boolean {
    const now = this.#options.now();
    this.#forget(now);
    if (this.#gone.has(address)) return false;
    const seen = this.#seen.get(address);
    if (seen !== undefined) return now - seen.first < NEWCOMER_MS;
    const { isGuests, addressesMax = ADDRESSES_MAX } = this.#options;
    return this.#seen.size < addressesMax && isGuests(address);
  }

  /** These changes are visible to guests: who is known waits no more, who is gone need not. */
  tell(changes: readonly Change[]): void {
    const { now, addressesMax = ADDRESSES_MAX } = this.#options;
    for (const change of changes) {
      const { address } = placeOf(change);
      if (change.kind === "delete") {
        putLast(this.#gone, address, now());
        if (this.#gone.size > addressesMax) deleteFirst(this.#gone);
      } else if (change.kind !== "password") {
        this.#gone.delete(address);
        this.#seen.delete(address);
      }
    }
  }

  /** In the order in which they fell silent, so that only those who have are looked at. */
  #forget(now: number): void {
    for (const [address, { last }] of this.#seen) {
      if (now - last < SILENT_MS) break;
      this.#seen.delete(address);
    }
    for (const [address, last] of this.#gone) {
      if (now - last < SILENT_MS) break;
      this.#gone.delete(address);
    }
  }
}

/** The ranges of the store's networks, and those of the configuration. */
export function guestsOf(
  directory: Pick<Directory, "networkOf">,
  evidence: Pick<Evidence, "policies">,
): (address: Ip) => boolean {
  // The directory is told of networks first: nobody is a stranger between the two.
  return (address) =>
    directory.networkOf(address) !== undefined ||
    evidence.policies.some(({ cidrs }) => cidrs.some((cidr) => contains(cidr, address)));
}

function putLast<T>(map: Map<Ip, T>, address: Ip, value: T): void {
  map.delete(address);
  map.set(address, value);
}

function deleteFirst(map: Map<Ip, unknown>): void {
  for (const first of map.keys()) {
    map.delete(first);
    return;
  }
}
