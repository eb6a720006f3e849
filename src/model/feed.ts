/**
 * What a router follows: a store's records, first all of them, then each change.
 *
 * Stores implement it. What a follower has put together after an element is the store as it was
 * at that element's revision: there is no gap, and nothing comes twice.
 */

import type { NetworkId } from "./binding.ts";
import type { Network } from "./change.ts";
import type { RecordName, Secret, StoredRecord } from "./record.ts";

/** One change of one record. A record that changed several times comes once, as it is last. */
export type RecordChange =
  /** Replaces whatever is known of the record, its secret included. */
  | ({ readonly kind: "put" } & StoredRecord)
  /** Of a record that the follower may not have heard of. */
  | ({ readonly kind: "delete"; readonly revision: number } & RecordName)
  /** Only the password is another: a new one, or none because the guest has it. */
  | ({
      readonly kind: "secret";
      readonly revision: number;
      readonly epoch: number;
      readonly password: Secret | undefined;
    } & RecordName);

export type FeedElement =
  /**
   * All there is; what was known before is void. Comes first, and again for a follower that was
   * so slow that the store no longer knows what it has missed.
   */
  | {
      readonly kind: "snapshot";
      readonly records: readonly StoredRecord[];
      readonly networks: readonly Network[];
      readonly revision: number;
      /**
       * Records that are there and cannot be opened: what was known of them holds on. Absent where
       * there are none.
       */
      readonly damaged?: readonly RecordName[];
    }
  /** To be applied at once: between two of them an address may be with two records or none. */
  | {
      readonly kind: "changes";
      readonly changes: readonly RecordChange[];
      /** All networks, if one of them has changed. */
      readonly networks?: readonly Network[];
      readonly revision: number;
    };

/** That a guest has its password. */
export interface Acknowledgement {
  readonly network: NetworkId;
  /** The record's id. */
  readonly instance: string;
  /** The epoch in which the password was delivered. */
  readonly epoch: number;
  readonly secretId: string;
}

export interface Feed {
  /**
   * Ends when `signal` aborts, and when the feed is closed. Reads in slices, so that others have
   * their turn meanwhile.
   *
   * @throws {StoreError} STORE_REPLACED if the store is no longer what it was: open it anew.
   */
  follow(signal: AbortSignal): AsyncIterable<FeedElement>;

  /**
   * Takes a password away for good. Durable when it resolves.
   *
   * @returns whether the password is done with, by this or an earlier acknowledgement. `false` says
   *   that another one waits, or that there is no such record.
   */
  ack(acknowledgement: Acknowledgement): Promise<boolean>;
}
