/**
 * Addresses without a lease whose MAC address was learnt, and which the firewall keeps: an IPv6
 * guest makes them for itself. Bounded for each guest, and forgotten when nobody asks from them.
 */

import type { Ip, Mac } from "../model/address.ts";

/** A guest with privacy addresses has about ten at a time. */
const ADDRESSES_PER_MAC_MAX = 16;
/**
 * So seldom the oldest gives way to another: each costs three programs, and a guest could ask from
 * a hundred addresses in turn on connections that are open. ms.
 */
const OTHER_EVERY_MS = 1000;
/** As many as the firewall counts sources. */
const ADDRESSES_MAX = 8192;
/** Longer than between two boots of a script that asks now and then. ms. */
const UNUSED_MS = 600_000;

/** A link-local address is one only on a device; others have one too. */
export interface LearnedAt {
  readonly address: Ip;
  readonly device: string;
}

interface Learned extends LearnedAt {
  readonly mac: Mac;
  readonly sinceMs: number;
  usedMs: number;
}

export class LearnedAddresses {
  /** By place, oldest first. */
  readonly #known = new Map<string, Learned>();
  readonly #devices = new Set<string>();
  readonly #ofMac = new Map<Mac, Set<Learned>>();
  readonly #onForgotten: (at: LearnedAt) => void;

  /** @param onForgotten is told of an address that is no longer kept, after that */
  constructor(onForgotten: (at: LearnedAt) => void) {
    this.#onForgotten = onForgotten;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Somebody asks from it. @returns whether it is known with this MAC address. */
  isKnown(at: LearnedAt, mac: Mac, nowMs: number): boolean {
    const known = this.#known.get(placeOf(at));
    if (known?.mac !== mac) return false;
    known.usedMs = nowMs;
    return true;
  }

  /** @returns whether it is known now: not where the guest has had another just before. */
  add(at: LearnedAt, mac: Mac, nowMs: number): boolean {
    const own = this.#ofMac.get(mac) ?? new Set();
    if (own.size >= ADDRESSES_PER_MAC_MAX) {
      const last = [...own].at(-1)?.sinceMs ?? 0;
      if (nowMs - last < OTHER_EVERY_MS) return false;
      this.#forget(own.values().next().value);
    }
    this.#remove(this.#known.get(placeOf(at)));
    if (this.#known.size >= ADDRESSES_MAX) this.#forget(this.#known.values().next().value);
    const learned = { ...at, mac, sinceMs: nowMs, usedMs: nowMs };
    this.#known.set(placeOf(at), learned);
    this.#devices.add(at.device);
    this.#ofMac.set(mac, own.add(learned));
    return true;
  }

  /** On every device. */
  forget(address: Ip): void {
    for (const device of this.#devices) this.#forget(this.#known.get(placeOf({ address, device })));
  }

  /** Forgets those from which nobody has asked for a while. */
  sweep(nowMs: number): void {
    for (const learned of this.#known.values()) {
      if (nowMs - learned.usedMs > UNUSED_MS) this.#forget(learned);
    }
  }

  #forget(learned: Learned | undefined): void {
    this.#remove(learned);
    if (learned !== undefined) this.#onForgotten(learned);
  }

  #remove(learned: Learned | undefined): void {
    if (learned === undefined) return;
    this.#known.delete(placeOf(learned));
    const own = this.#ofMac.get(learned.mac);
    own?.delete(learned);
    if (own?.size === 0) this.#ofMac.delete(learned.mac);
  }
}

function placeOf({ address, device }: LearnedAt): string {
  return `${address}%${device}`;
}
