/**
 * A DHCP lease, as one client wrote it down, and what a reader of such files is.
 */

import type { System } from "../system.ts";

export interface Lease {
  /** Which client wrote it: `dhclient`, `networkd`, … */
  readonly client: string;
  /** Where it was read. */
  readonly file: string;
  readonly interface: string | undefined;
  /** The address that was leased. */
  readonly address: string | undefined;
  /** Option 54, dhcp-server-identifier: on CloudStack's networks the virtual router. */
  readonly server: string | undefined;
  /** Option 3. */
  readonly routers: readonly string[];
  /** When the file was written, ms: of two leases the later one counts. */
  readonly writtenMs: number;
}

export interface LeaseReader {
  readonly client: string;
  /** All leases of this client, whatever their age. Never throws: a file of junk has no lease. */
  read(system: System): readonly Lease[];
}

/** Leases of one interface that are looked at; a hostile file has no more either. */
export const LEASES_MAX = 64;
