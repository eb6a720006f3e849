/**
 * Who is at an address: the rules by which a lease and an instance's metadata are one binding.
 *
 * CloudStack writes an instance's lease first and its metadata last, and never takes metadata back.
 * So a new MAC with the former instance's metadata means that the address has passed on: nothing is
 * answered there until metadata arrives. An epoch is one binding, and no epoch comes twice.
 *
 * Pure: what is known, what is seen and the time go in, what is known now comes out.
 */

import type { Mac } from "../../model/address.ts";
import type { WithholdReason } from "../../model/binding.ts";
import { METADATA_LATE_MS } from "./limits.ts";

/** What the DHCP server was told of an address. */
export interface Lease {
  readonly mac?: Mac;
  /** The instance has given the address back. */
  readonly removed: boolean;
  /** Of the host name, see `nameHash`. */
  readonly name?: number;
}

/** What is seen of one address. */
export interface Seen {
  readonly lease: Lease | undefined;
  /** Whether there are leases at all: then an address without one is not served. */
  readonly leasesKnown: boolean;
  /** Whether they can be read now; else they are those that were read last. */
  readonly leasesFresh: boolean;
  /** The instance that the metadata names; absent where there is none. */
  readonly instance: string | undefined;
  /** Whether the metadata is here to be served, not only known by its name. */
  readonly servable: boolean;
  /** Whether it is other metadata than at the last look, or was sent again. */
  readonly arrived: boolean;
  /** The lease was written after the metadata, and nothing says that they belong together. */
  readonly doubtful: boolean;
}

export type Verdict = "serve" | WithholdReason;

/** Who had, or has, an address. */
export interface Holder {
  readonly mac: Mac | undefined;
  readonly instance: string | undefined;
}

/** What is known of one address. The metadata of `instance` was accepted for `mac`. */
export interface Bond extends Holder {
  readonly epoch: number;
  readonly verdict: Verdict;
  /** When the verdict or the epoch was last another. Milliseconds since 1970. */
  readonly since: number;
  /** While metadata is awaited: who had the address before. */
  readonly past: Holder | undefined;
  /** The metadata came while leases could not be read, so the MAC may be the former one's. */
  readonly unconfirmed: boolean;
  /** An earlier run withheld the address and did not say whose metadata was there. */
  readonly unsure: boolean;
}

type Identity = Omit<Bond, "verdict" | "since">;

/** Looks at an address. `bond` is what the last look gave. */
export function look(bond: Bond | undefined, seen: Seen, now: number): Bond {
  const identity = bond === undefined ? begin(seen) : identify(bond, seen);
  const verdict = judge(identity, seen);
  const isSame = bond?.verdict === verdict && bond.epoch === identity.epoch;
  const { mac, instance, epoch, past, unconfirmed, unsure } = identity;
  const since = isSame ? bond.since : now;
  // Written out, because there is one for each address.
  return { mac, instance, epoch, verdict, since, past, unconfirmed, unsure };
}

/** When the metadata of an address will have been awaited for too long; absent where it is not. */
export function lateAt(bond: Bond): number | undefined {
  const isAwaited = bond.verdict === "awaiting-metadata" && bond.past !== undefined;
  return isAwaited ? bond.since + METADATA_LATE_MS : undefined;
}

function begin({ lease, instance, leasesFresh }: Seen): Identity {
  const unconfirmed = instance !== undefined && !leasesFresh;
  return { mac: lease?.mac, instance, epoch: 1, past: undefined, unconfirmed, unsure: false };
}

function identify(bond: Bond, seen: Seen): Identity {
  let { mac, instance, epoch, past, unconfirmed, unsure } = bond;
  if (unsure && seen.instance !== undefined) {
    // Better to wait for metadata that is here already than to give away the former instance's.
    if (past === undefined) instance = seen.instance;
    else past = { ...past, instance: seen.instance };
    unsure = false;
  }
  let moved = false;
  const leased = seen.lease?.mac;
  if (leased !== undefined && leased !== mac) {
    // A first lease says whose an address is that was served without. One that had been withheld
    // for want of a lease may have passed on meanwhile.
    const isFirst = mac === undefined && bond.verdict !== "no-lease";
    if (!isFirst && !unconfirmed) {
      epoch++;
      moved = true;
      const isAwaited = past !== undefined || instance === undefined;
      past ??= { mac, instance };
      if (past.mac === leased && past.instance === seen.instance) {
        ({ instance, past } = { instance: past.instance, past: undefined });
      } else if (isAwaited && seen.arrived) {
        // It was awaited for the former MAC, so it may be the former's.
        past = { mac, instance: seen.instance };
      } else if (seen.doubtful && seen.arrived) {
        // Somebody may have come and gone unseen, and left this behind.
        past = { mac: undefined, instance: seen.instance };
      }
    }
    mac = leased;
  }
  if (seen.leasesFresh) unconfirmed = false;

  if (past !== undefined) {
    // Metadata that is seen together with the new MAC was sent before it, unless it names another.
    const isNew = seen.instance !== past.instance || (seen.arrived && !moved);
    if (seen.instance !== undefined && isNew) {
      instance = seen.instance;
      past = undefined;
      unconfirmed = !seen.leasesFresh;
    }
  } else if (seen.instance !== undefined && seen.instance !== instance) {
    if (instance !== undefined) epoch++;
    instance = seen.instance;
    unconfirmed = !seen.leasesFresh;
  }
  return { mac, instance, epoch, past, unconfirmed, unsure };
}

function judge({ past }: Identity, seen: Seen): Verdict {
  if (seen.lease?.removed) return "lease-removed";
  if (seen.lease === undefined && seen.leasesKnown) return "no-lease";
  if (past !== undefined || seen.instance === undefined) return "awaiting-metadata";
  return seen.servable ? "serve" : "awaiting-metadata";
}
