/**
 * Where the APIs must not be although nobody has named it: a router that listens by itself (`auto`)
 * answers on this machine's addresses in the networks of the store.
 *
 * Networks come later than the listener, so it is asked again for each request. Loopback is no
 * network's: in a lab both planes have ports of their own there.
 */

import { type Cidr, containedIn, parseCidr, tryParseIp } from "../model/address.ts";
import { UsageError } from "../model/errors.ts";
import { addressesIn } from "../platform/devices.ts";
import type { Store } from "../store/store.ts";
import { type HostPort, isEvery, isLoopback } from "./http.ts";

/** Networks change seldom; a request between costs no read of the store. ms. */
const KNOWN_MS = 1000;

const REMEDY = "choose an address that guests do not reach, as 127.0.0.1:8776";
/** Where nobody has said that a router listens here. */
const OR_NAME = ", or name with --guest-listen where a router of this machine answers";

export class GuestSide {
  readonly #store: Pick<Store, "networks">;
  #ranges: readonly Cidr[] = [];
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(store: Pick<Store, "networks">) {
    this.#store = store;
  }

  /**
   * @param isAuto whether a router of this machine is known to listen by itself
   * @throws {UsageError} if the listener would be on an address of a network that is known.
   */
  async check({ host, port }: HostPort, isAuto: boolean, interfaces?: Interfaces): Promise<void> {
    const at = `--api-listen ${host}:${port}`;
    const theirs = addressesIn(await this.#known(), interfaces);
    const remedy = isAuto ? REMEDY : REMEDY + OR_NAME;
    if (isEvery(host) && (isAuto || theirs.length > 0)) {
      const which = theirs[0] === undefined ? "those of guests" : `the guests' ${theirs[0]}`;
      throw new UsageError(`${at}: every address includes ${which}; ${remedy}`);
    }
    if (await this.has(host)) {
      throw new UsageError(`${at}: it lies in a network of guests; ${remedy}`);
    }
  }

  /** Whether an address of this machine is one where guests are answered. */
  async has(local: string | undefined): Promise<boolean> {
    const address = tryParseIp(local);
    if (address === undefined || isLoopback(address)) return false;
    return containedIn(await this.#known(), address);
  }

  async #known(): Promise<readonly Cidr[]> {
    const now = performance.now();
    if (now - this.#readAt < KNOWN_MS) return this.#ranges;
    const networks = await this.#store.networks();
    this.#ranges = networks.flatMap(({ cidrs }) => cidrs.map(parseCidr));
    this.#readAt = now;
    return this.#ranges;
  }
}

type Interfaces = Parameters<typeof addressesIn>[1];
