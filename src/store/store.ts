/**
 * Where instances are kept. To add one: write `src/store/NAME.ts`, and add one line to the table in
 * `index.ts`; `test/store/contract.test.ts` holds it to what is promised here.
 *
 * Every write has a revision, a number that only rises. A write is whole or not there at all, and
 * survives the end of the program by SIGKILL once its promise resolves.
 */

import type { Network } from "../model/change.ts";
import type { Feed, FeedElement } from "../model/feed.ts";
import type { Payload, PayloadKind, StoredPayload } from "../model/payload.ts";
import type { InstanceRecord, RecordName, StoredRecord } from "../model/record.ts";
import type { Conditions } from "../observe/conditions.ts";

export interface Store extends Feed, AsyncDisposable {
  /** Of this store and no other: one that takes its place has another, a copy of it the same. */
  readonly id: string;

  get(name: RecordName): Promise<StoredRecord | undefined>;

  /**
   * Keeps a record whole. One that says what is kept already is not written again.
   *
   * Its epoch is raised where an address is new to it, above each epoch that such an address had.
   * A password that was acknowledged does not come back: it is left out. `ACKNOWLEDGED_MAX` of them
   * are remembered.
   *
   * @param expect the revision that the record must have: 0 for none; absent for any
   * @returns the record as it is kept, with the revision in which it became so
   * @throws {RecordError} if it is malformed.
   * @throws {StoreConflictError} if it has another revision than the one expected.
   * @throws {StoreError} STORE_ADDRESS_TAKEN if another record of the network has an address of it,
   *   STORE_PAYLOAD_UNKNOWN if it names a payload that is not here, or another number of bytes.
   */
  put(record: InstanceRecord, options?: { readonly expect?: number }): Promise<StoredRecord>;

  /**
   * @returns the revision of the deletion; `undefined` if there was no record
   * @throws {StoreConflictError} as `put`.
   */
  delete(name: RecordName, options?: { readonly expect?: number }): Promise<number | undefined>;

  /** Records in the order of network and id. */
  list(query?: ListQuery): Promise<Page>;

  /** The networks that are known, with their ranges; a record's network need not be among them. */
  networks(): Promise<readonly Network[]>;

  /**
   * Replaces all of them. The same again is not written again.
   *
   * @throws {RecordError} if one is malformed.
   */
  putNetworks(networks: readonly Network[]): Promise<void>;

  /**
   * What a controller remembers beside the records, by its id, in the order of ids: JSON, sealed as
   * records are. Followers hear nothing of it. One that is damaged is left out.
   */
  documents(kind: string): Promise<ReadonlyMap<string, unknown>>;

  /** Keeps documents of a kind, all or none of them; `undefined` takes one away. */
  putDocuments(kind: string, documents: Iterable<readonly [string, unknown]>): Promise<void>;

  /**
   * Keeps a payload, sealed and in parts. What is kept already stays as it is.
   *
   * @returns what is kept, and whether it is new
   * @throws {RecordError} if it is empty or too large.
   * @throws {StoreError} STORE_PAYLOADS_FULL
   */
  putPayload(
    content: Uint8Array,
    kind: PayloadKind,
  ): Promise<StoredPayload & { readonly isNew: boolean }>;

  /** The payload of a name; its parts lie in the store until they are read. */
  payload(sha256: string): Promise<(Payload & StoredPayload) | undefined>;

  /** All payloads, in the order of their names. */
  payloads(): Promise<readonly StoredPayload[]>;

  /**
   * @returns whether there was one
   * @throws {StoreError} STORE_PAYLOAD_IN_USE while a record names it.
   */
  deletePayload(sha256: string): Promise<boolean>;

  /** As any feed; and from now on, for who wants no records of before. */
  follow(signal: AbortSignal, options?: FollowOptions): AsyncIterable<FeedElement>;

  /** Ends all followers. What is called afterwards rejects with STORE_CLOSED. */
  close(): Promise<void>;
}

export interface FollowOptions {
  /** "now": a snapshot says its revision alone; it has no record and no network, and costs none. */
  readonly from?: "now";
}

export interface ListQuery {
  /** Only this network's. */
  readonly network?: string;
  /** Where the last page ended: its `next`. */
  readonly after?: RecordName;
  /** How many at most; `PAGE_RECORDS_MAX` is the most, and the default. */
  readonly limit?: number;
}

export interface Page {
  readonly records: readonly StoredRecord[];
  /** Absent on the last page. Pages are of different moments, unless the revision is the same. */
  readonly next?: RecordName;
  /** The store's revision when the page was read. */
  readonly revision: number;
}

/** What every store is given when it is opened. */
export interface StoreOptions {
  /** 32 bytes. What is kept at rest is sealed with it. */
  readonly sealKey: Uint8Array;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /**
   * `writer` puts and deletes, and is one program at a time; `reader` follows what another program
   * writes, and acknowledges.
   */
  readonly role: "writer" | "reader";
  /**
   * True when nobody else knows what is kept: then each write survives a power loss too. Otherwise
   * only passwords, acknowledgements and seals do; the source says the rest again.
   */
  readonly isTruth?: boolean;
}
