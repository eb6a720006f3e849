/**
 * A map by network and address. Nothing is found by an address alone.
 */

import type { Ip } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";

export class AddressMap<T> {
  readonly #networks = new Map<NetworkId, Map<Ip, T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(network: NetworkId, address: Ip): T | undefined {
    return this.#networks.get(network)?.get(address);
  }

  set(network: NetworkId, address: Ip, value: T): void {
    let addresses = this.#networks.get(network);
    if (addresses === undefined) {
      addresses = new Map();
      this.#networks.set(network, addresses);
    }
    if (!addresses.has(address)) this.#size++;
    addresses.set(address, value);
  }

  delete(network: NetworkId, address: Ip): void {
    const addresses = this.#networks.get(network);
    if (addresses === undefined || !addresses.delete(address)) return;
    this.#size--;
    if (addresses.size === 0) this.#networks.delete(network);
  }

  *values(): Generator<T> {
    for (const addresses of this.#networks.values()) yield* addresses.values();
  }
}
