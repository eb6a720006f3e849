/**
 * What is remembered of the kernel's neighbour table: which MAC address an address was last seen
 * at, on which device.
 *
 * Bounded twice, because guests decide how many addresses there are: in all, and for one MAC
 * address, so that one guest with thousands of them pushes out only its own. What was pushed out
 * can be looked up again.
 */

import { isIP } from "node:net";
import { type Ip, type Mac, tryParseIp, tryParseMac } from "../model/address.ts";

/** Rows in all. 10,000 guests with three addresses each stay below; about 8 MiB. */
const ROWS_MAX = 32_768;
/** Addresses of one MAC. A guest with privacy addresses has about ten at a time. */
const ADDRESSES_PER_MAC_MAX = 64;

/** A line of `ip neighbour`. */
export interface NeighbourLine {
  readonly address: Ip;
  readonly device: string;
  /** Absent where the kernel has no evidence: nobody answered yet, or nobody does. */
  readonly mac?: Mac;
  readonly permanent: boolean;
  /** Who made the row, where the kernel was told: see `PIN_PROTOCOL`. */
  readonly protocol?: string;
}

/** A stale row was true when it was last used; a failed one is none. */
const EVIDENCE = new Set(["REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"]);

/**
 * Reads a line of `ip neighbour show`, `get` or `monitor`.
 *
 * `10.1.1.5 dev eth0 lladdr 02:00:5a:10:00:07 router STALE proto 205`
 *
 * @returns `undefined` if it is something else, as when the program says that there is no row.
 */
export function parseNeighbour(line: string): NeighbourLine | undefined {
  const words = line.trim().split(" ");
  const isGone = words[0] === "Deleted";
  if (isGone || words[0] === "miss") words.shift();
  const address = fromKernel(words[0] ?? "");
  if (address === undefined || words[1] !== "dev") return undefined;
  const device = words[2] ?? "";
  let mac: Mac | undefined;
  let protocol: string | undefined;
  let hasEvidence = false;
  let permanent = false;
  for (let i = 3; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "lladdr") mac = tryParseMac(words[++i]);
    else if (word === "proto") protocol = words[++i];
    else if (EVIDENCE.has(word)) hasEvidence = true;
    if (word === "PERMANENT") permanent = true;
  }
  return {
    ...{ address, device, permanent },
    ...(mac !== undefined && hasEvidence && !isGone && { mac }),
    ...(protocol !== undefined && { protocol }),
  };
}

/**
 * As `tryParseIp`, for text that `inet_ntop` made: that is canonical already, but where the end is
 * written with dots. Matters in a table of 100,000 rows: 2 s of CPU or 0.1 s.
 */
function fromKernel(text: string): Ip | undefined {
  const isCanonical = isIP(text) === 6 && !text.includes(".") && !text.includes("%");
  return isCanonical ? (text as Ip) : tryParseIp(text);
}

/** Who has an address, and behind which device. */
export interface Neighbour {
  readonly device: string;
  readonly mac: Mac;
}

/** What is known of an address on one device; an address may have several. */
interface Row extends Neighbour {
  /** The reading that has seen it last. */
  reading: number;
  next: Row | undefined;
}

export interface NeighbourTableOptions {
  /** Told of each address at which something is other than before. */
  readonly onChange?: (address: Ip) => void;
  /** @default ADDRESSES_PER_MAC_MAX */
  readonly addressesPerMacMax?: number;
}

export class NeighbourTable {
  readonly #rows = new Map<Ip, Row>();
  /** The addresses of each MAC, oldest first. */
  readonly #byMac = new Map<Mac, Ip[]>();
  readonly #onChange: (address: Ip) => void;
  readonly #addressesPerMacMax: number;
  /** Where the search for the oldest row is. */
  #walk: Iterator<Ip> = this.#rows.keys();
  #size = 0;
  #reading = 0;

  constructor({ onChange, addressesPerMacMax }: NeighbourTableOptions = {}) {
    this.#onChange = onChange ?? (() => {});
    this.#addressesPerMacMax = addressesPerMacMax ?? ADDRESSES_PER_MAC_MAX;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether anything is known of an address. */
  has(address: Ip): boolean {
    return this.#rows.has(address);
  }

  /**
   * The MAC address that `address` has, on `device` where one is named. `undefined` where nothing
   * is known, or where devices disagree and none is named.
   */
  find(address: Ip, device?: string): Mac | undefined {
    return this.at(address, device)?.mac;
  }

  /** The same with the device; where devices agree, it is one of them. */
  at(address: Ip, device?: string): Neighbour | undefined {
    const row = this.#rows.get(address);
    if (row === undefined) return undefined;
    if (row.next === undefined) {
      return device === undefined || row.device === device ? row : undefined;
    }
    let found: Row | undefined;
    for (let each: Row | undefined = row; each !== undefined; each = each.next) {
      if (each.device === device) return each;
      if (device !== undefined) continue;
      if (found !== undefined && found.mac !== each.mac) return undefined;
      found = each;
    }
    return found;
  }

  /** Takes over what the kernel says now of one address on one device. */
  put({ address, device, mac }: NeighbourLine): void {
    let changed = false;
    for (let row = this.#rows.get(address); row !== undefined; row = row.next) {
      if (row.device !== device) continue;
      row.reading = this.#reading;
      if (row.mac === mac) return;
      changed = this.#remove(address, row);
      break;
    }
    if (mac !== undefined) {
      this.#makeRoom(mac);
      const next = this.#rows.get(address);
      this.#rows.set(address, { device, mac, reading: this.#reading, next });
      this.#size++;
      this.#noteMac(address, mac);
      changed = true;
    }
    if (changed) this.#onChange(address);
  }

  /** From here on the whole table is read; what `endReading` has not seen since is gone. */
  beginReading(): void {
    this.#reading++;
  }

  endReading(): void {
    for (const [address, first] of this.#rows) {
      let changed = false;
      for (let row: Row | undefined = first; row !== undefined; row = row.next) {
        if (row.reading !== this.#reading) changed = this.#remove(address, row) || changed;
      }
      if (changed) this.#onChange(address);
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#byMac.clear();
    this.#size = 0;
  }

  /** Takes one row out of the list of its address. */
  #remove(address: Ip, gone: Row): boolean {
    const first = this.#rows.get(address);
    if (first === gone) {
      if (gone.next === undefined) this.#rows.delete(address);
      else this.#rows.set(address, gone.next);
    } else {
      let before = first;
      while (before !== undefined && before.next !== gone) before = before.next;
      if (before === undefined) return false;
      before.next = gone.next;
    }
    this.#size--;
    this.#forgetMac(address, gone.mac);
    return true;
  }

  /** Pushes out the oldest address of the same MAC, or the oldest of all. */
  #makeRoom(mac: Mac): void {
    const own = this.#byMac.get(mac);
    if (own !== undefined && own.length >= this.#addressesPerMacMax) {
      this.#pushOut(own[0], mac);
    } else if (this.#size >= ROWS_MAX) {
      this.#pushOut(this.#oldest());
    }
  }

  /** A new walk for each would skip what former ones have removed, again and again. */
  #oldest(): Ip | undefined {
    const next = this.#walk.next();
    if (next.done !== true) return next.value;
    this.#walk = this.#rows.keys();
    return this.#walk.next().value;
  }

  #pushOut(address: Ip | undefined, mac?: Mac): void {
    let row = address === undefined ? undefined : this.#rows.get(address);
    while (row !== undefined && mac !== undefined && row.mac !== mac) row = row.next;
    if (address !== undefined && row !== undefined) {
      this.#remove(address, row);
      this.#onChange(address);
    }
  }

  #noteMac(address: Ip, mac: Mac): void {
    const addresses = this.#byMac.get(mac);
    if (addresses === undefined) this.#byMac.set(mac, [address]);
    else addresses.push(address);
  }

  #forgetMac(address: Ip, mac: Mac): void {
    const addresses = this.#byMac.get(mac);
    const index = addresses?.indexOf(address) ?? -1;
    if (addresses === undefined || index === -1) return;
    addresses.splice(index, 1);
    if (addresses.length === 0) this.#byMac.delete(mac);
  }
}
