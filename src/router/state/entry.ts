/**
 * What the state directory keeps: what is known at an address, and its password.
 *
 * Each entry says all there is to say about its address, so that of several the last one counts,
 * and reading some of them twice changes nothing.
 */

import type { Ip } from "../../model/address.ts";
import type { Binding, Body, NetworkId } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import type { Payload } from "../../model/payload.ts";

/** A password that was acknowledged: never itself, only its digest. */
export interface Acknowledged {
  /** Keyed, so that it says nothing to whoever has only the file. */
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Whether a file has stated this password, so that the same statement is known to be old. */
  readonly stated: boolean;
}

/** All that the ledger knows of one address. */
export interface PasswordEntry {
  readonly network: NetworkId;
  readonly address: Ip;
  readonly epoch: number;
  /** The password that the guest has not acknowledged yet. */
  readonly pending?: string;
  /** Where the pending one came from. */
  readonly via?: string;
  /**
   * Digest of what the guest has read, when that was replaced before it was acknowledged: then its
   * acknowledgement does not mean the pending one.
   */
  readonly former?: string;
  /**
   * Digest of what a file last stated, in this epoch or before; where it said whose, a dot and a
   * digest of that follow.
   */
  readonly standing?: string;
  /** In this epoch, the latest last. */
  readonly acknowledged: readonly Acknowledged[];
}

export type Entry =
  /** Changes of kind `password` pass by: the ledger has entries of its own. */
  | { readonly kind: "change"; readonly change: Change }
  | { readonly kind: "password"; readonly record: PasswordEntry };

/**
 * A binding as the directory keeps it: values beside names that many share. A snapshot takes it as
 * it is, because ten thousand copies with pairs of their own would be so much garbage.
 */
export interface KeptBinding extends Omit<Binding, "keys" | "userData" | "payloads"> {
  readonly document: {
    readonly shape: { readonly names: readonly string[] };
    /** Beside the names. */
    readonly values: readonly (string | null)[];
    readonly userData: Body | undefined;
    readonly payloads: readonly Payload[] | undefined;
  };
}

/** What a snapshot is made of. It reads back as entries. */
export type SnapshotEntry = Entry | { readonly kind: "kept"; readonly kept: KeptBinding };

/** What an earlier run knew. */
export interface Recovered {
  /** `put` and `withhold` only, one for each address. */
  readonly changes: readonly Change[];
  readonly passwords: readonly PasswordEntry[];
}
