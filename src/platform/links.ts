/**
 * On which of the guests' devices somebody is: by the zone of a link-local address, else by the
 * ranges that the devices have addresses in.
 *
 * With one device there is nothing to decide. With several, a guest of one network must not pass
 * for a guest of another by an address or a MAC address that is the other's.
 */

import { networkInterfaces } from "node:os";
import { type Cidr, contains, type Ip, isLinkLocal, parseCidr } from "../model/address.ts";

/** Devices and their addresses come and go; they are looked at so often. ms. */
const BELIEVED_MS = 1_000;

export class Links {
  readonly #devices: readonly string[];
  readonly #interfaces: typeof networkInterfaces;
  #ranges: ReadonlyMap<string, readonly Cidr[]> = new Map();
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** @param interfaces for tests */
  constructor(devices: readonly string[], interfaces = networkInterfaces) {
    this.#devices = devices;
    this.#interfaces = interfaces;
  }

  /**
   * The device on which a peer is.
   *
   * @param zone of a link-local peer, or of the listener that it asked
   * @returns `undefined` if it could be on none, or on several.
   */
  deviceOf(peer: Ip, zone: string | undefined): string | undefined {
    if (this.#devices.length < 2) return this.#devices[0];
    if (isLinkLocal(peer)) return this.#devices.find((device) => device === zone);
    const [found, ...others] = this.#devices.filter((device) => this.#isWithin(device, peer));
    return others.length === 0 ? found : undefined;
  }

  /** Whether a lease of `address` is one for guests of `device`. */
  isLeasedOn(device: string, address: Ip): boolean {
    return this.#devices.length < 2 || this.#isWithin(device, address);
  }

  #isWithin(device: string, address: Ip): boolean {
    if (performance.now() - this.#readAtMs > BELIEVED_MS) this.#look();
    return this.#ranges.get(device)?.some((range) => contains(range, address)) === true;
  }

  #look(): void {
    this.#readAtMs = performance.now();
    const interfaces = this.#interfaces();
    this.#ranges = new Map(
      this.#devices.map((device) => {
        const cidrs = (interfaces[device] ?? []).map(({ cidr }) => cidr?.replace(/%[^/]*/, ""));
        return [device, cidrs.flatMap((text) => (text ? [parseCidr(text)] : []))];
      }),
    );
  }
}
