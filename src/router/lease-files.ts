/**
 * Leases that the DHCP server has given, from its own files: which MAC address an address was
 * leased to, where the source does not say. Followed as they change.
 */

import { readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Ip, Mac } from "../model/address.ts";
import type { Conditions } from "../observe/conditions.ts";
import { watchFiles } from "../platform/watch.ts";
import { parseDnsmasqLeases } from "../source/dnsmasq-leases.ts";

/** A lease has 100 bytes, and no file more than 100,000. */
const FILE_BYTES_MAX = 16 << 20;
/** Longer than a DHCP server takes from its first line to its last. ms. */
const SETTLE_MS = 100;
/** A file that is never the same twice is believed in the end. */
const SETTLE_TRIES_MAX = 20;

export class LeaseFiles {
  readonly #conditions: Conditions;
  readonly #onChange: (addresses: readonly Ip[]) => void;
  readonly #stop = new AbortController();
  readonly #leases = new Map<string, ReadonlyMap<Ip, Mac>>();
  /** What `onChange` was told of. */
  readonly #told = new Map<string, ReadonlyMap<Ip, Mac>>();

  /** @param onChange is told the addresses whose leases are others */
  constructor(
    files: readonly string[],
    ports: { readonly conditions: Conditions; onChange(addresses: readonly Ip[]): void },
  ) {
    this.#conditions = ports.conditions;
    this.#onChange = (addresses) => ports.onChange(addresses);
    // In the order of the configuration, whichever is read first.
    for (const file of files) this.#leases.set(file, readNow(file));
    for (const file of this.#leases.keys()) void this.#follow(file);
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
    const { signal } = this.#stop;
    for await (const _ of watchFiles(dirname(file), [basename(file)], signal)) {
      try {
        const leases = await this.#read(file);
        if (signal.aborted) return;
        this.#take(file, leases);
        this.#conditions.clear("SOURCE_UNREADABLE", file);
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = error as NodeJS.ErrnoException;
        this.#conditions.raise("SOURCE_UNREADABLE", file, code ?? message);
      }
    }
  }

  /**
   * The DHCP server empties its file and writes it anew, so a part of it looks like leases that
   * are gone. Where some are, or the last line has no end, it must say the same twice.
   */
  async #read(file: string): Promise<ReadonlyMap<Ip, Mac>> {
    const known = this.#leases.get(file) ?? new Map<Ip, Mac>();
    let text = await readText(file);
    for (let again = 0; ; again++) {
      const leases = parse(text);
      const isLess = [...known.keys()].some((address) => !leases.has(address));
      if ((!isLess && text.endsWith("\n")) || again === SETTLE_TRIES_MAX) return leases;
      await sleep(SETTLE_MS);
      const now = await readText(file);
      if (now === text || this.#stop.signal.aborted) return leases;
      text = now;
    }
  }

  #take(file: string, leases: ReadonlyMap<Ip, Mac>): void {
    const before = this.#told.get(file) ?? new Map<Ip, Mac>();
    this.#leases.set(file, leases);
    this.#told.set(file, leases);
    const all = new Set([...before.keys(), ...leases.keys()]);
    const changed = [...all].filter((address) => before.get(address) !== leases.get(address));
    if (changed.length > 0) this.#onChange(changed);
  }
}

/** Before the first guest asks: one that is to be compared is, from the start. */
function readNow(file: string): ReadonlyMap<Ip, Mac> {
  try {
    if (statSync(file).size > FILE_BYTES_MAX) return new Map();
    const text = readFileSync(file, "utf8");
    return parse(text.slice(0, text.lastIndexOf("\n") + 1)); // The last line may be half a line.
  } catch {
    return new Map(); // Whoever follows the file says why.
  }
}

function parse(text: string): ReadonlyMap<Ip, Mac> {
  return new Map(parseDnsmasqLeases(text).map(({ address, mac }) => [address, mac]));
}

async function readText(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > FILE_BYTES_MAX) throw new Error("is over 16 MiB");
  return readFile(file, "utf8");
}
