/**
 * Which addresses commands have overtaken: what a databag said of them before the command is older,
 * though it may be read later.
 */

import type { Ip } from "../../model/address.ts";
import { ADDRESSES_MAX, STAMP_MS } from "./limits.ts";

export class Overtaken {
  readonly #at = new Map<Ip, { readonly time: number; readonly during: boolean }>();

  /** @param during whether the databag is being read */
  add(address: Ip, during: boolean): void {
    this.#at.delete(address);
    this.#at.set(address, { time: Date.now(), during });
    if (this.#at.size <= ADDRESSES_MAX) return;
    for (const oldest of this.#at.keys()) {
      this.#at.delete(oldest);
      return;
    }
  }

  /** Whether a command came while the databag was read. */
  isDuring(address: Ip): boolean {
    return this.#at.get(address)?.during === true;
  }

  /** Whether a databag that was written at `modified` says nothing new of an address. */
  isOver(address: Ip, modified: number): boolean {
    const command = this.#at.get(address);
    if (command === undefined) return false;
    // The stamps of files lag behind. In doubt the databag counts: it is what lasts.
    return command.during ? command.time >= modified : command.time - STAMP_MS > modified;
  }

  /** The databag was read: what it says from now on is newer than the commands before. */
  wasRead(): void {
    for (const [address, { time, during }] of this.#at) {
      if (during) this.#at.set(address, { time, during: false });
      else this.#at.delete(address);
    }
  }
}
