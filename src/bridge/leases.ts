/**
 * Which IPv4 address a MAC address has: from CloudStack's dhcpentry.json, or from a lease file of
 * dnsmasq.
 *
 * A file is looked at whenever it is asked, and read when it has changed: CloudStack writes a lease
 * before it writes metadata or a password for its owner, so whoever looks never gives one guest
 * what is another's already. A file that cannot be read leaves what it said last.
 */

import { closeSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { type Ip, type Mac, tryParseIp } from "../model/address.ts";
import { ConfigError } from "../model/errors.ts";
import { readLease } from "../source/databag/leases.ts";
import { parseDnsmasqLeases } from "../source/dnsmasq-leases.ts";
import { LEASE_FILE_BYTES_MAX } from "./limits.ts";

/** A MAC with two addresses, and an address with two MACs, are nobody's. */
export type Found = { readonly address: Ip } | "unknown" | "ambiguous";

/** In place of an address. */
const AMBIGUOUS = Symbol("ambiguous");

interface Lease {
  readonly address: Ip;
  readonly mac: Mac;
}

interface LeaseFile {
  readonly path: string;
  stamp: string;
  leases: readonly Lease[];
}

export class LeaseBook {
  readonly #files: readonly LeaseFile[];
  readonly #onTrouble: (path: string, why: string | undefined) => void;
  readonly #byMac = new Map<Mac, Ip | typeof AMBIGUOUS>();
  readonly #troubled = new Set<string>();

  /** @throws {ConfigError} if a file cannot be read now. */
  constructor(
    paths: readonly string[],
    onTrouble: (path: string, why: string | undefined) => void = () => {},
  ) {
    this.#onTrouble = onTrouble;
    this.#files = paths.map((path) => {
      try {
        return { path, ...readFile(path) };
      } catch (error) {
        throw new ConfigError(reasonOf(error), { file: path });
      }
    });
    this.#index();
  }

  /** Of every MAC what `find` says of it; for people. */
  *list(): Generator<readonly [mac: Mac, found: Found]> {
    this.#refresh();
    for (const mac of this.#byMac.keys()) yield [mac, this.#known(mac)];
  }

  /** Looks at the files first: a few microseconds, but where one has changed. */
  find(mac: Mac): Found {
    this.#refresh();
    return this.#known(mac);
  }

  #known(mac: Mac): Found {
    const address = this.#byMac.get(mac);
    if (address === undefined) return "unknown";
    return address === AMBIGUOUS ? "ambiguous" : { address };
  }

  #refresh(): void {
    let changed = false;
    for (const file of this.#files) {
      try {
        if (stampOf(file.path) === file.stamp) continue;
        Object.assign(file, readFile(file.path));
        changed = true;
        if (this.#troubled.delete(file.path)) this.#onTrouble(file.path, undefined);
      } catch (error) {
        if (this.#troubled.has(file.path)) continue;
        this.#troubled.add(file.path);
        this.#onTrouble(file.path, reasonOf(error));
      }
    }
    if (changed) this.#index();
  }

  #index(): void {
    this.#byMac.clear();
    const owners = new Map<Ip, Mac>();
    const contested = new Set<Ip>();
    for (const { address, mac } of this.#files.flatMap(({ leases }) => leases)) {
      const owner = owners.get(address);
      if (owner !== undefined && owner !== mac) contested.add(address);
      owners.set(address, mac);
      const before = this.#byMac.get(mac);
      const isSame = before === undefined || before === address;
      this.#byMac.set(mac, isSame ? address : AMBIGUOUS);
    }
    for (const [mac, address] of this.#byMac) {
      if (address !== AMBIGUOUS && contested.has(address)) this.#byMac.set(mac, AMBIGUOUS);
    }
  }
}

/** Times of files are those of the kernel's last tick: younger ones say nothing. ms. */
const TICK_MS = 20;

/** Other than before whenever the file may be. */
function stampOf(path: string): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  const isYoung = Math.abs(Date.now() - Number(mtimeNs) / 1e6) < TICK_MS;
  return [dev, ino, size, mtimeNs, ctimeNs, isYoung ? Math.random() : ""].join(" ");
}

/** The stamp is taken first: what is written while we read is read again. */
function readFile(path: string): { stamp: string; leases: readonly Lease[] } {
  const stamp = stampOf(path);
  const fd = openSync(path, "r");
  try {
    if (fstatSync(fd).size > LEASE_FILE_BYTES_MAX) throw new Error("is too long");
    return { stamp, leases: parseLeases(readFileSync(fd, "utf8")) };
  } finally {
    closeSync(fd);
  }
}

/** The IPv4 leases of either kind of file. @throws {SyntaxError} if it is half of one. */
export function parseLeases(text: string): Lease[] {
  if (!text.trimStart().startsWith("{")) {
    return parseDnsmasqLeases(text).filter(({ address }) => !address.includes(":"));
  }
  const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return entries.flatMap(([key, value]) => {
    const address = tryParseIp(key);
    const lease = address === key && !key.includes(":") ? readLease(value) : undefined;
    if (address === undefined || lease?.mac === undefined || lease.removed === true) return [];
    return [{ address, mac: lease.mac }];
  });
}

/** Never a line of the file. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return "is no JSON";
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `cannot be read: ${code}`;
}
