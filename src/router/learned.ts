/**
 * Addresses without a lease whose MAC address was learnt, and which the firewall keeps: an IPv6
 * guest makes them for itself. Bounded for each guest, and forgotten when nobody asks from them.
 */

import type { Ip, Mac } from "../model/address.ts";

/** A guest with privacy addresses has about ten at a time. */
const ADDRESSES_PER_MAC_MAX = 16;
/** As many as the firewall counts sources. */
const ADDRESSES_MAX = 8192;
/** Longer than between two boots of a script that asks now and then. ms. */
const UNUSED_MS = 600_000;

interface Learned {
  readonly mac: Mac;
  usedMs: number;
}

export class LearnedAddresses {
  /** Oldest first. */
  readonly #known = new Map<Ip, Learned>();
  readonly #ofMac = new Map<Mac, Set<Ip>>();
  readonly #forget: (address: Ip) => void;

  /** @param forget is told of an address that is no longer kept, after that */
  constructor(forget: (address: Ip) => void) {
    this.#forget = forget;
  }

  get size(): number {
    return this.#known.size;
  }

  macOf(address: Ip): Mac | undefined {
    return this.#known.get(address)?.mac;
  }

  /** Somebody asks from it. @returns whether it is known with this MAC address. */
  isKnown(address: Ip, mac: Mac, nowMs: number): boolean {
    const known = this.#known.get(address);
    if (known?.mac !== mac) return false;
    known.usedMs = nowMs;
    return true;
  }

  add(address: Ip, mac: Mac, nowMs: number): void {
    this.#remove(address);
    const own = this.#ofMac.get(mac) ?? new Set();
    this.#ofMac.set(mac, own);
    const oldestOfMac = own.values().next().value;
    if (own.size >= ADDRESSES_PER_MAC_MAX && oldestOfMac !== undefined) this.#drop(oldestOfMac);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size >= ADDRESSES_MAX && oldest !== undefined) this.#drop(oldest);
    this.#known.set(address, { mac, usedMs: nowMs });
    this.#ofMac.set(mac, own.add(address));
  }

  /** Forgets those from which nobody has asked for a while. */
  sweep(nowMs: number): void {
    for (const [address, { usedMs }] of this.#known) {
      if (nowMs - usedMs > UNUSED_MS) this.#drop(address);
    }
  }

  #drop(address: Ip): void {
    this.#remove(address);
    this.#forget(address);
  }

  #remove(address: Ip): void {
    const known = this.#known.get(address);
    if (known === undefined) return;
    this.#known.delete(address);
    const own = this.#ofMac.get(known.mac);
    own?.delete(address);
    if (own?.size === 0) this.#ofMac.delete(known.mac);
  }
}
