/**
 * Who asks: the MAC address behind an IPv6 source address, and the IPv4 address that it has.
 *
 * What is in memory of the neighbour table is a hint, good enough to begin with. The kernel is
 * asked meanwhile, and its word must be the same before an answer goes out.
 */

import { type Ip, type Mac, tryParseIp } from "../model/address.ts";
import type { Neighbours } from "../platform/neighbours.ts";
import type { LeaseBook } from "./leases.ts";

export interface Guest {
  readonly mac: Mac;
  /** The IPv4 address of its lease. */
  readonly address: Ip;
}

export interface GuestsOptions {
  /** Where guests are: their addresses on other devices are not theirs. */
  readonly device: string;
  readonly neighbours: Pick<Neighbours, "find" | "lookUp">;
  readonly leases: Pick<LeaseBook, "find">;
}

export class Guests {
  readonly #options: GuestsOptions;

  constructor(options: GuestsOptions) {
    this.#options = options;
  }

  /**
   * Who a peer is, by a hint or by the kernel's word.
   *
   * @returns the guest, and a way to ask whether it still is the same; `undefined` for nobody.
   */
  async find(
    peer: string | undefined,
    how: "hint" | "certain",
  ): Promise<{ guest: Guest; isStill(): Promise<boolean> } | undefined> {
    const { neighbours, device } = this.#options;
    // Some runtimes print the zone of a link-local address, which is always our device.
    const address = tryParseIp(peer?.split("%", 1)[0]);
    if (address === undefined || !address.includes(":")) return undefined;
    const asked = neighbours.lookUp(address, device);
    const hint = how === "hint" ? neighbours.find(address, device) : undefined;
    const mac = hint ?? (await asked);
    const guest = mac === undefined ? undefined : this.#guestOf(mac);
    if (guest === undefined) return undefined;
    return {
      guest,
      isStill: async () => {
        if ((await asked) !== guest.mac) return false;
        // Both may have changed hands since; news come in milliseconds.
        const now = neighbours.find(address, device);
        if (now !== undefined && now !== guest.mac) return false;
        return this.#guestOf(guest.mac)?.address === guest.address;
      },
    };
  }

  #guestOf(mac: Mac): Guest | undefined {
    const found = this.#options.leases.find(mac);
    return typeof found === "string" ? undefined : { mac, address: found.address };
  }
}
