/**
 * What is reported of single addresses: metadata that is late, keys and user data that are not
 * served, addresses that are in no network. Each for as long as it is so.
 */

import type { Ip } from "../../model/address.ts";
import type { Conditions } from "../../observe/conditions.ts";
import { type Bond, lateAt } from "./bindings.ts";
import type { Content } from "./entry.ts";

export class AddressReports {
  readonly #conditions: Conditions;
  readonly #now: () => number;
  /** Addresses whose metadata is awaited, and when it is late. */
  readonly #late = new Map<Ip, number>();

  constructor(conditions: Conditions, now: () => number) {
    this.#conditions = conditions;
    this.#now = now;
  }

  /** Notes whether an address waits for its metadata. */
  watch(address: Ip, bond: Bond): void {
    const at = lateAt(bond);
    if (at !== undefined) this.#late.set(address, at);
    else if (this.#late.delete(address)) this.#conditions.clear("METADATA_LATE", address);
  }

  /** Reports what has become late. */
  raiseLate(): void {
    for (const [address, at] of this.#late) {
      if (at <= this.#now()) this.#conditions.raise("METADATA_LATE", address);
    }
  }

  /** When the next metadata will be late. */
  nextLate(): number | undefined {
    let next: number | undefined;
    for (const at of this.#late.values()) {
      if (at > this.#now() && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /** @param what has come for the address, if it is in no network */
  outside(address: Ip, what: "metadata" | "a password" | undefined): void {
    if (what === undefined) this.#conditions.clear("ADDRESS_OUTSIDE", address);
    else this.#conditions.raise("ADDRESS_OUTSIDE", address, `${what} came for it`);
  }

  /** @param content what is served at the address; `undefined` if nothing is */
  flaws(address: Ip, content: Content | undefined): void {
    const flaws = content?.flaws;
    if (flaws?.keys === undefined) this.#conditions.clear("KEY_REFUSED", address);
    else this.#conditions.raise("KEY_REFUSED", address, flaws.keys);
    if (flaws?.userData === true) this.#conditions.raise("USER_DATA_INVALID", address);
    else this.#conditions.clear("USER_DATA_INVALID", address);
  }
}
