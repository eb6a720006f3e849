/**
 * Who asks: the MAC address behind an IPv6 source address, and the IPv4 address that it has.
 *
 * What is in memory of the neighbour table is a hint, good enough to begin with. The kernel is
 * asked meanwhile, and its word must be the same before an answer goes out.
 */

import { type Ip, type Mac, tryParseIp } from "../model/address.ts";
import type { Links } from "../platform/links.ts";
import { SETTLE_MS } from "../platform/neighbour-history.ts";
import type { Neighbours } from "../platform/neighbours.ts";
import type { LeaseBook } from "./leases.ts";

export interface Guest {
  readonly mac: Mac;
  /** Where it is. */
  readonly device: string;
  /** The IPv4 address of its lease. */
  readonly address: Ip;
}

export interface GuestsOptions {
  /** Where guests are: their addresses on other devices are not theirs. */
  readonly links: Pick<Links, "deviceOf" | "isLeasedOn">;
  readonly neighbours: Pick<Neighbours, "find" | "lookUp" | "trust">;
  readonly leases: Pick<LeaseBook, "find">;
}

export interface Known {
  readonly guest: Guest;
  /** Whether by now the kernel has said so too, and the lease still is the same. */
  isStill(): Promise<boolean>;
}

/** `unsettled`: the kernel could not be asked in time, so it may be somebody. */
export type Who = Known | "nobody" | "unsettled";

/** A look-up that took so long had no answer: they end after 50. ms. */
const LATE_MS = 45;

export class Guests {
  readonly #options: GuestsOptions;

  constructor(options: GuestsOptions) {
    this.#options = options;
  }

  /**
   * Who a peer is, by a hint or by the kernel's word. Takes 100 ms at most.
   *
   * @param zone the device of the listener that was asked, where it has one
   */
  async find(peer: string | undefined, how: "hint" | "certain", zone?: string): Promise<Who> {
    const { neighbours, links } = this.#options;
    // Some runtimes print the zone of a link-local address.
    const [text, printed] = peer?.split("%", 2) ?? [];
    const address = tryParseIp(text);
    if (address === undefined || !address.includes(":")) return "nobody";
    const device = links.deviceOf(address, printed ?? zone);
    if (device === undefined) return "nobody";
    const asked = this.#lookUp(address, device);
    const hint = how === "hint" ? neighbours.find(address, device) : undefined;
    const mac = hint ?? (await asked);
    if (mac === undefined || mac === "late") return mac === "late" ? "unsettled" : "nobody";
    const guest = this.#guestOf(mac, device);
    if (guest === undefined || neighbours.trust(address, device) === "changed") return "nobody";
    return {
      guest,
      isStill: async () => {
        if ((await asked) !== guest.mac) return false;
        // Who took the address a moment ago may give it back: the kernel's news tell.
        if (neighbours.trust(address, device) === "fresh") {
          await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        }
        if (neighbours.trust(address, device) === "changed") return false;
        // Both may have changed hands since; news come in milliseconds.
        const now = neighbours.find(address, device);
        if (now !== undefined && now !== guest.mac) return false;
        return this.#guestOf(guest.mac, device)?.address === guest.address;
      },
    };
  }

  /** The kernel's word; asked twice where it has none. */
  async #lookUp(address: Ip, device: string): Promise<Mac | "late" | undefined> {
    const { neighbours } = this.#options;
    let isLate = false;
    for (let attempt = 0; attempt < 2; attempt++) {
      const beganMs = performance.now();
      const mac = await neighbours.lookUp(address, device);
      if (mac !== undefined) return mac;
      isLate = performance.now() - beganMs >= LATE_MS;
    }
    return isLate ? "late" : undefined;
  }

  #guestOf(mac: Mac, device: string): Guest | undefined {
    const { leases, links } = this.#options;
    const found = leases.find(mac);
    if (typeof found === "string" || !links.isLeasedOn(device, found.address)) return undefined;
    return { mac, device, address: found.address };
  }
}
