/**
 * How often a peer came with a wrong token lately. Bounded, whoever asks.
 *
 * A right token is taken whatever a peer did before: 256 random bits are not guessed, and so nobody
 * who shares an operator's address can lock the operator out.
 */

import { isIPv6 } from "node:net";
import { ATTEMPTS_MAX, ATTEMPTS_MS, PEERS_MAX } from "./limits.ts";

interface Count {
  failures: number;
  /** When counting began. Milliseconds since 1970. */
  readonly since: number;
}

export class Attempts {
  readonly #counts = new Map<string, Count>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns seconds to wait if there were too many; `undefined` while there may be more. */
  fail(peer: string | undefined): number | undefined {
    const key = keyOf(peer ?? "");
    const now = this.#now();
    let count = this.#counts.get(key);
    if (count === undefined || now - count.since >= ATTEMPTS_MS || now < count.since) {
      count = { failures: 0, since: now };
      this.#counts.delete(key);
      this.#makeRoom();
      this.#counts.set(key, count);
    }
    count.failures++;
    if (count.failures <= ATTEMPTS_MAX) return undefined;
    return Math.max(1, Math.ceil((count.since + ATTEMPTS_MS - now) / 1000));
  }

  /** Of tests: it stays within its limit. */
  get size(): number {
    return this.#counts.size;
  }

  /** A map keeps its order: the first one is the oldest. */
  #makeRoom(): void {
    while (this.#counts.size >= PEERS_MAX) {
      const [oldest] = this.#counts.keys();
      if (oldest === undefined) return;
      this.#counts.delete(oldest);
    }
  }
}

/** One host has all of an IPv6 /64: its first four groups. */
function keyOf(peer: string): string {
  if (!isIPv6(peer) || peer.includes(".")) return peer;
  const [head = "", tail] = peer.split("%")[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest;
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...(tail ?? "").split(":")];
  return all.slice(0, 4).join(":");
}
