/**
 * Through whom this machine's own routes lead. No guest is taken for one of them: its address would
 * be pinned, and whatever the router sends elsewhere would go to that guest.
 */

import type { Ip } from "../model/address.ts";
import { type Exec, exec as realExec } from "../platform/exec.ts";

/** Routes change seldom, and a guest may ask a thousand times a second. ms. */
const BELIEVED_MS = 1000;

export class Gateways {
  readonly #exec: Exec;
  #known: Promise<ReadonlySet<string> | undefined> = Promise.resolve(undefined);
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(exec: Exec = realExec) {
    this.#exec = exec;
  }

  /** Whether an address is one; also where that cannot be read. Never rejects. */
  async has(address: Ip): Promise<boolean> {
    if (performance.now() - this.#readAtMs > BELIEVED_MS) {
      this.#readAtMs = performance.now();
      this.#known = this.#read().catch(() => undefined);
    }
    return (await this.#known)?.has(address) ?? true;
  }

  async #read(): Promise<ReadonlySet<string> | undefined> {
    const found = new Set<string>();
    for (const version of ["-4", "-6"]) {
      const argv = ["ip", "-o", version, "route", "show", "table", "all"];
      const { code, stdout } = await this.#exec(argv);
      if (code !== 0) return undefined;
      for (const [, via = ""] of stdout.matchAll(/\bvia (?:inet6? )?(\S+)/g)) found.add(via);
    }
    return found;
  }
}
