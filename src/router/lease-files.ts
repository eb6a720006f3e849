/**
 * Leases that the DHCP server has given, from its own files: which MAC address an address was
 * leased to, where the source does not say. Followed as they change.
 */

import { readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Ip, Mac } from "../model/address.ts";
import type { Conditions } from "../observe/conditions.ts";
import { watchFiles } from "../platform/watch.ts";
import { parseDnsmasqLeases } from "../source/dnsmasq-leases.ts";

/** A lease has 100 bytes, and no file more than 100,000. */
const FILE_BYTES_MAX = 16 << 20;

export class LeaseFiles {
  readonly #conditions: Conditions;
  readonly #onChange: (addresses: readonly Ip[]) => void;
  readonly #stop = new AbortController();
  readonly #leases = new Map<string, ReadonlyMap<Ip, Mac>>();

  /** @param onChange is told the addresses whose leases are others */
  constructor(
    files: readonly string[],
    ports: { readonly conditions: Conditions; onChange(addresses: readonly Ip[]): void },
  ) {
    this.#conditions = ports.conditions;
    this.#onChange = (addresses) => ports.onChange(addresses);
    for (const file of new Set(files)) void this.#follow(file);
  }

  /** Of two files the first that knows the address. */
  get(address: Ip): Mac | undefined {
    for (const leases of this.#leases.values()) {
      const mac = leases.get(address);
      if (mac !== undefined) return mac;
    }
    return undefined;
  }

  close(): void {
    this.#stop.abort();
  }

  async #follow(file: string): Promise<void> {
    for await (const _ of watchFiles(dirname(file), [basename(file)], this.#stop.signal)) {
      try {
        const { size } = await stat(file);
        if (size > FILE_BYTES_MAX) throw new Error("is over 16 MiB");
        const leases = parseDnsmasqLeases(await readFile(file, "utf8"));
        this.#take(file, new Map(leases.map(({ address, mac }) => [address, mac])));
        this.#conditions.clear("SOURCE_UNREADABLE", file);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        this.#conditions.raise("SOURCE_UNREADABLE", file, code ?? message);
      }
    }
  }

  #take(file: string, leases: ReadonlyMap<Ip, Mac>): void {
    const before = this.#leases.get(file) ?? new Map<Ip, Mac>();
    this.#leases.set(file, leases);
    const all = new Set([...before.keys(), ...leases.keys()]);
    const changed = [...all].filter((address) => before.get(address) !== leases.get(address));
    if (changed.length > 0) this.#onChange(changed);
  }
}
