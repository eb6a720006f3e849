/**
 * Whether address ranges of different networks overlap. Where they do, an address says nothing
 * about its network, so this program refuses them.
 */

import type { Cidr } from "../model/address.ts";

export interface Range<T> {
  readonly cidr: Cidr;
  /** Ranges of one owner may overlap each other. */
  readonly owner: string;
  readonly tag: T;
}

/** The first two ranges of different owners that share an address. O(n log n). */
export function overlap<T>(ranges: readonly Range<T>[]): [Range<T>, Range<T>] | undefined {
  const order = (a: Cidr, b: Cidr): number => {
    if (a.version !== b.version) return a.version - b.version;
    if (a.first !== b.first) return a.first < b.first ? -1 : 1;
    return a.last === b.last ? 0 : a.last > b.last ? -1 : 1;
  };
  let outer: Range<T> | undefined;
  for (const range of [...ranges].sort((a, b) => order(a.cidr, b.cidr))) {
    // CIDR ranges are nested or apart, so the widest one before this decides.
    const within =
      outer !== undefined &&
      outer.cidr.version === range.cidr.version &&
      range.cidr.first <= outer.cidr.last;
    if (outer !== undefined && within && outer.owner !== range.owner) return [outer, range];
    if (!within) outer = range;
  }
  return undefined;
}
