/**
 * The six databags that are read, in the order in which they are read.
 *
 * CloudStack writes an instance's lease, then its password, then its metadata. They are read in the
 * opposite order, so that metadata is never seen without the lease that came before it.
 */

import { tryParseIp } from "../../model/address.ts";
import type { Conditions } from "../../observe/conditions.ts";
import type { Slices } from "../slices.ts";
import type { Accept, BagChange, Delta, Value } from "./bag.ts";
import { BagFile } from "./bag-file.ts";
import { readPasswordValue } from "./command.ts";
import { type LeaseEntry, readLeaseEntry } from "./leases.ts";
import type { MetadataEntry } from "./metadata.ts";
import { type NetworkEntry, readNetworkEntry } from "./networks.ts";
import { EntryReports } from "./reports.ts";

/** What is kept of an entry of vmpassword.json. */
export interface PasswordEntry {
  readonly flaw?: string;
  /** Just read, and not offered yet. */
  password?: string | undefined;
}

/** What one look at all files found, not in force yet. */
export interface Found {
  readonly ips: Delta<NetworkEntry> | undefined;
  readonly guestNetworks: Delta<NetworkEntry> | undefined;
  readonly cmdline: Delta<NetworkEntry> | undefined;
  readonly metadata: Delta<MetadataEntry> | undefined;
  readonly passwords: Delta<PasswordEntry> | undefined;
  readonly leases: Delta<LeaseEntry> | undefined;
}

export interface FilesOptions {
  readonly dir: string;
  readonly conditions: Conditions;
  readonly now: () => number;
  readonly readMetadata: Accept<MetadataEntry>;
}

export const NAMES = {
  ips: "ips.json",
  guestNetworks: "guestnetwork.json",
  cmdline: "cmdline.json",
  metadata: "vmdata.json",
  passwords: "vmpassword.json",
  leases: "dhcpentry.json",
} as const;

export class Files {
  readonly ips: BagFile<NetworkEntry>;
  readonly guestNetworks: BagFile<NetworkEntry>;
  readonly cmdline: BagFile<NetworkEntry>;
  readonly metadata: BagFile<MetadataEntry>;
  readonly passwords: BagFile<PasswordEntry>;
  readonly leases: BagFile<LeaseEntry>;
  readonly #conditions: Conditions;
  readonly #reports = new Map<unknown, (delta: Delta<unknown>, slices: Slices) => Promise<void>>();

  constructor({ readMetadata, ...options }: FilesOptions) {
    this.#conditions = options.conditions;
    const open = <T extends object>(name: string, accept: Accept<T>): BagFile<T> => {
      const file = new BagFile<T>({ ...options, name, accept });
      const reports = new EntryReports(file, flawOf<T>, options.conditions);
      const report = ({ changes }: Delta<unknown>, slices: Slices): Promise<void> =>
        reports.update(changes as readonly BagChange<T>[], slices);
      this.#reports.set(file, report);
      return file;
    };
    this.ips = open(NAMES.ips, readNetworkEntry);
    this.guestNetworks = open(NAMES.guestNetworks, readNetworkEntry);
    this.cmdline = open(NAMES.cmdline, readNetworkEntry);
    this.metadata = open(NAMES.metadata, readMetadata);
    this.passwords = open(NAMES.passwords, readPasswordEntry);
    this.leases = open(NAMES.leases, readLeaseEntry);
  }

  /** Looks at the small files only, which say what networks there are. */
  async lookAtNetworks(slices: Slices): Promise<Found> {
    const ips = await this.ips.look(slices);
    const guestNetworks = await this.guestNetworks.look(slices);
    const cmdline = await this.cmdline.look(slices);
    const rest = { metadata: undefined, passwords: undefined, leases: undefined };
    return { ips, guestNetworks, cmdline, ...rest };
  }

  async look(slices: Slices): Promise<Found> {
    const networks = await this.lookAtNetworks(slices);
    const metadata = await this.metadata.look(slices);
    const passwords = await this.passwords.look(slices);
    const leases = await this.leases.look(slices);
    return { ...networks, metadata, passwords, leases };
  }

  /** Reports entries that are not understood. To be called with what was just put in force. */
  async report(found: Found, slices: Slices): Promise<void> {
    for (const [name, delta] of Object.entries(found)) {
      const file: unknown = this[name as keyof Found];
      if (delta !== undefined) await this.#reports.get(file)?.(delta, slices);
    }
  }

  /** Says, or no longer says, that a databag has lost entries that stay in force. */
  reportLost(name: string, lost: number): void {
    if (lost === 0) this.#conditions.clear("SOURCE_SHRANK", name);
    else {
      const kept = lost === 1 ? "1 entry is kept" : `${lost} entries are kept`;
      this.#conditions.raise("SOURCE_SHRANK", name, kept);
    }
  }

  /** In how many milliseconds a look may find something that no event announces. */
  get wakeMs(): number | undefined {
    const all = [this.ips, this.guestNetworks, this.cmdline];
    const wakes = [...all, this.metadata, this.passwords, this.leases].map(({ wakeMs }) => wakeMs);
    const due = wakes.filter((ms) => ms !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }
}

function flawOf<T extends object>(data: T): string | undefined {
  return "flaw" in data ? (data.flaw as string | undefined) : undefined;
}

/** @throws {SyntaxError} if the value is no JSON. */
function readPasswordEntry({ key, raw, refused }: Value): PasswordEntry {
  if (refused !== undefined) return { flaw: refused };
  const value: unknown = JSON.parse(raw.toString());
  if (key === "id") return {};
  if (tryParseIp(key) !== key) return { flaw: "is not at an address" };
  const password = readPasswordValue(value);
  return password === undefined ? { flaw: "is not a password" } : { password };
}
