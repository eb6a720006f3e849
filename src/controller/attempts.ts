/**
 * How often a peer came with a wrong token or signature lately. Bounded, whoever asks.
 *
 * A right one is taken whatever a peer did before: 160 random bits and more are not guessed, and so
 * nobody who shares an operator's address can lock the operator out.
 */

import { isIPv6 } from "node:net";

/** Failures of one peer within `ATTEMPTS_MS`. A program that is configured wrongly tries on. */
export const ATTEMPTS_MAX = 10;
export const ATTEMPTS_MS = 60_000;

/** Peers whose failures are counted; beyond, the oldest are forgotten. */
export const PEERS_MAX = 4096;

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
    const key = peerKey(peer ?? "");
    const now = this.#now();
    let count = this.#current(key, now);
    if (count === undefined) {
      count = { failures: 0, since: now };
      this.#counts.delete(key);
      this.#makeRoom();
      this.#counts.set(key, count);
    }
    count.failures++;
    if (count.failures <= ATTEMPTS_MAX) return undefined;
    return Math.max(1, Math.ceil((count.since + ATTEMPTS_MS - now) / 1000));
  }

  /** Whether one more failure would be one too many. Counts nothing. */
  isOver(peer: string | undefined): boolean {
    const count = this.#current(peerKey(peer ?? ""), this.#now());
    return count !== undefined && count.failures >= ATTEMPTS_MAX;
  }

  #current(key: string, now: number): Count | undefined {
    const count = this.#counts.get(key);
    if (count === undefined || now - count.since >= ATTEMPTS_MS) return undefined;
    return now < count.since ? undefined : count;
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

/** Whose an address is: one host has all of an IPv6 /64, its first four groups. */
export function peerKey(peer: string): string {
  if (!isIPv6(peer) || peer.includes(".")) return peer;
  const [head = "", tail] = peer.split("%")[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest;
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...(tail ?? "").split(":")];
  return all.slice(0, 4).join(":");
}
