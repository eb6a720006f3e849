/**
 * Of a store of many networks, those that one router serves. Networks of others may have the same
 * addresses.
 */

import type { NetworkId } from "../../model/binding.ts";
import type { FeedElement, RecordChange } from "../../model/feed.ts";
import type { RecordName } from "../../model/record.ts";
import type { Conditions } from "../../observe/conditions.ts";

/** Which networks of a store a router serves. */
export type Served =
  | { readonly only: readonly NetworkId[] }
  /** The others have routers of their own. */
  | { readonly except: readonly NetworkId[] };

export class ServedNetworks {
  readonly #served: Served;
  readonly #conditions: Conditions;
  /** Those that the store has not named yet. */
  readonly #missing: Set<NetworkId>;

  constructor(served: Served, conditions: Conditions) {
    this.#served = served;
    this.#conditions = conditions;
    this.#missing = new Set("only" in served ? served.only : []);
  }

  has(network: NetworkId): boolean {
    const served = this.#served;
    return "only" in served ? served.only.includes(network) : !served.except.includes(network);
  }

  /** What of an element is this router's; the rest is as if it were not there. */
  of(element: FeedElement): FeedElement {
    const isOwn = ({ network }: RecordName): boolean => this.has(network);
    const networks = element.networks?.filter(({ id }) => this.has(id));
    this.#tell((networks ?? []).map(({ id }) => id));
    if (element.kind === "changes") {
      const changes = element.changes.filter((change) => isOwn(nameOf(change)));
      this.#tell(changes.map((change) => nameOf(change).network));
      return { ...element, changes, ...(networks !== undefined && { networks }) };
    }
    const records = element.records.filter(({ record }) => isOwn(record));
    this.#tell(records.map(({ record }) => record.network));
    const damaged = element.damaged?.filter(isOwn);
    return {
      ...{ ...element, records, networks: networks ?? [] },
      ...(damaged !== undefined && { damaged }),
    };
  }

  /** @param seen networks that the store has */
  #tell(seen: readonly NetworkId[]): void {
    for (const id of seen) {
      if (this.#missing.delete(id)) this.#conditions.clear("NETWORK_UNKNOWN", id);
    }
    for (const id of this.#missing) this.#conditions.raise("NETWORK_UNKNOWN", id);
  }
}

function nameOf(change: RecordChange): RecordName {
  return change.kind === "put" ? change.record : change;
}
