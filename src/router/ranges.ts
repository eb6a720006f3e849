/**
 * Which networks have an address in their ranges. CIDR ranges of one length are apart or the same,
 * so a look-up takes one step for each length there is, however many networks there are.
 */

import { type Cidr, type Ip, parseCidr, toNumber, versionOf } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";
import type { Network } from "../model/change.ts";

/** Ranges of one version and one length. */
interface Rank {
  readonly version: 4 | 6;
  /** Addresses in each of them, less one. */
  readonly span: bigint;
  /** By their first address. */
  readonly networks: Map<bigint, NetworkId[]>;
}

/** A range that lies in others' ranges, too. */
export interface Overlap {
  readonly range: string;
  /** Two or more. */
  readonly networks: readonly NetworkId[];
}

export class Ranges {
  readonly #ranks = new Map<string, Rank>();
  /** Networks of which ranges of a version are known. */
  readonly #ranged = new Set<string>();
  readonly #cidrs: readonly Cidr[];

  constructor(networks: readonly Network[]) {
    const cidrs = new Map<string, Cidr>();
    for (const { id, cidrs: texts } of networks) {
      for (const text of texts) {
        const cidr = parseCidr(text);
        cidrs.set(cidr.text, cidr);
        this.#add(cidr, id);
      }
    }
    this.#cidrs = [...cidrs.values()];
  }

  /** The networks that have an address, each once. */
  of(address: Ip): readonly NetworkId[] {
    return this.#of(versionOf(address), toNumber(address));
  }

  /** Whether a network's addresses of this kind are known by their ranges. */
  knows(network: NetworkId, address: Ip): boolean {
    return this.#ranged.has(`${versionOf(address)} ${network}`);
  }

  /** Ranges that several networks have, or that lie within another network's. */
  overlaps(): readonly Overlap[] {
    return this.#cidrs.flatMap(({ text: range, version, first, last }) => {
      const networks = this.#of(version, first, last - first);
      return networks.length > 1 ? [{ range, networks }] : [];
    });
  }

  #add({ version, first, last }: Cidr, id: NetworkId): void {
    const span = last - first;
    const name = `${version} ${span}`;
    const rank = this.#ranks.get(name) ?? { version, span, networks: new Map() };
    this.#ranks.set(name, rank);
    rank.networks.set(first, [...(rank.networks.get(first) ?? []), id]);
    this.#ranged.add(`${version} ${id}`);
  }

  /** @param least how wide a range must be: one less than its addresses */
  #of(version: 4 | 6, number: bigint, least = 0n): readonly NetworkId[] {
    const found = new Set<NetworkId>();
    for (const rank of this.#ranks.values()) {
      if (rank.version !== version || rank.span < least) continue;
      // The span of a CIDR range is all ones.
      for (const id of rank.networks.get(number & ~rank.span) ?? []) found.add(id);
    }
    return [...found];
  }
}
