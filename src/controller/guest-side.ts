/**
 * Who must not reach the APIs: guests, by the networks of the store. And where the APIs must not be
 * although nobody has named it: a router that listens by itself (`auto`) answers on this machine's
 * addresses in those networks.
 *
 * A router is every guest's next hop, so a guest reaches all of its addresses: whom a request comes
 * from counts too. Networks come later than the listener, so it is asked again for each request.
 * Loopback is no network's: in a lab both planes have ports of their own there.
 */

import { type Cidr, containedIn, isLinkLocal, parseCidr, tryParseIp } from "../model/address.ts";
import { MetadataError, UsageError } from "../model/errors.ts";
import { addressesIn } from "../platform/devices.ts";
import type { Store } from "../store/store.ts";
import { type ConnectionBindings, type HostPort, isEvery, isLoopback } from "./http.ts";

/** Networks change seldom; a request between costs no read of the store. ms. */
const KNOWN_MS = 1000;

const REMEDY = "choose an address that guests do not reach, as 127.0.0.1:8776";
/** Where nobody has said that a router listens here. */
const OR_NAME = ", or name with --guest-listen where a router of this machine answers";

export class GuestSide {
  readonly #store: Pick<Store, "networks">;
  readonly #isNamed: boolean;
  #ranges: readonly Cidr[] = [];
  #readAt = Number.NEGATIVE_INFINITY;

  /** @param isNamed whether somebody has said where guests are answered: then it is only there */
  constructor(store: Pick<Store, "networks">, isNamed: boolean) {
    this.#store = store;
    this.#isNamed = isNamed;
  }

  /**
   * @param isAuto whether a router of this machine is known to listen by itself
   * @throws {UsageError} if the listener would be on an address of a network that is known.
   */
  async check({ host, port }: HostPort, isAuto: boolean, interfaces?: Interfaces): Promise<void> {
    const ranges = await this.#known();
    if (this.#isNamed) return;
    const at = `--api-listen ${host}:${port}`;
    const theirs = addressesIn(ranges, interfaces);
    const remedy = isAuto ? REMEDY : REMEDY + OR_NAME;
    if (isEvery(host) && (isAuto || theirs.length > 0)) {
      const which = theirs[0] === undefined ? "those of guests" : `the guests' ${theirs[0]}`;
      throw new UsageError(`${at}: every address includes ${which}; ${remedy}`);
    }
    if (await this.#has(host)) {
      throw new UsageError(`${at}: it lies in a network of guests; ${remedy}`);
    }
  }

  /**
   * Whether a request is a guest's: it comes from a network, or over an address of one. Link-local
   * addresses say nothing of a network; who has one is on a link of this machine, as guests are.
   */
  async refuses({ peer, local }: Pick<ConnectionBindings, "peer" | "local">): Promise<boolean> {
    if (isOnLink(peer) || isOnLink(local)) return true;
    if (!this.#isNamed && (await this.#has(local))) return true;
    // This machine itself asks from the address that it asks.
    return peer !== local && (await this.#has(peer));
  }

  async #has(text: string | undefined): Promise<boolean> {
    const address = tryParseIp(text);
    if (address === undefined || isLoopback(address)) return false;
    return containedIn(await this.#known(), address);
  }

  /** While the store cannot be read, what it said last: nothing of it is told meanwhile either. */
  async #known(): Promise<readonly Cidr[]> {
    const now = performance.now();
    if (now - this.#readAt < KNOWN_MS) return this.#ranges;
    try {
      const networks = await this.#store.networks();
      this.#ranges = networks.flatMap(({ cidrs }) => cidrs.map(parseCidr));
    } catch (error) {
      if (!(error instanceof MetadataError) || !Number.isFinite(this.#readAt)) throw error;
    }
    this.#readAt = now;
    return this.#ranges;
  }
}

/** Its zone is of no interest. */
function isOnLink(text: string | undefined): boolean {
  const address = tryParseIp(text?.split("%", 1)[0]);
  return address !== undefined && isLinkLocal(address);
}

type Interfaces = Parameters<typeof addressesIn>[1];
