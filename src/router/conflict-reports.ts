/** Says where an address leads to nobody, because several networks have it. */

import type { Conditions } from "../observe/conditions.ts";
import type { DirectoryEvents } from "./directory.ts";

/** So many networks are named of those that have a range; there may be a thousand. */
const NAMED_MAX = 3;

export function conflictReports(
  conditions: Conditions,
): Required<Pick<DirectoryEvents, "contested" | "overlapping">> {
  let raised: readonly string[] = [];
  return {
    contested(address, networks) {
      if (networks.length === 0) conditions.clear("ADDRESS_CONFLICT", address);
      else conditions.raise("ADDRESS_CONFLICT", address, `in ${namesOf(networks)}`);
    },
    overlapping(overlaps) {
      const ranges = new Set(overlaps.map(({ range }) => range));
      for (const range of raised) {
        if (!ranges.has(range)) conditions.clear("NETWORKS_OVERLAP", range);
      }
      for (const { range, networks } of overlaps) {
        conditions.raise("NETWORKS_OVERLAP", range, `${namesOf(networks)} have it`);
      }
      raised = [...ranges];
    },
  };
}

function namesOf(networks: readonly string[]): string {
  const more = networks.length - NAMED_MAX;
  const named = networks.slice(0, NAMED_MAX).join(", ");
  return `networks ${named}${more > 0 ? ` and ${more} more` : ""}`;
}
