/**
 * Where a router listens, and when that has to be thought about again.
 *
 * A store may be written a thousand times a second, and each time is a look at it. What such a look
 * says of networks and of this machine is nearly always what the last one said.
 */

import { metadataAddresses } from "../platform/devices.ts";
import type { Source } from "../source/source.ts";
import type { ListenTarget, Plane } from "./listeners.ts";

export type Listen = "auto" | readonly ListenTarget[];

/** The virtual router's ports: what `auto` listens on. */
export const AUTO_PORTS: Readonly<Record<Plane, number>> = { metadata: 80, password: 8080 };

export function targets(listen: Listen, plane: Plane, source: Source): readonly ListenTarget[] {
  if (listen !== "auto") return listen;
  const own = source.endpoints().map(({ address }) => ({ host: address }));
  // Where no source knows an address of ours, nobody's guests are here yet.
  const usual = own.length === 0 ? [] : metadataAddresses();
  const all = new Map([...own, ...usual].map((at) => [JSON.stringify(at), at]));
  return [...all.values()].map((at) => ({ plane, ...at, port: AUTO_PORTS[plane] }));
}

/** What was known when everything that follows from it was done. */
export class Around {
  #settled: readonly unknown[] = [];

  /** Whether the source says the very same as then. What this machine has it does not say. */
  isAsSettled(facts: readonly unknown[]): boolean {
    const settled = this.#settled;
    return facts.length === settled.length && facts.every((fact, at) => fact === settled[at]);
  }

  settle(facts: readonly unknown[]): void {
    this.#settled = facts;
  }
}
