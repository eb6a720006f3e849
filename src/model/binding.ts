/**
 * What answers a guest: a binding of one address to one instance.
 *
 * A binding, not an instance, because `local-ipv4`, `public-ipv4` and the password
 * differ by NIC. Sources make bindings, the router's directory keeps them, the
 * protocol renders them.
 */

import type { Ip, Mac } from "./address.ts";
import type { Payload } from "./payload.ts";

/** A network's name within this router: CloudStack's network id, or a name the operator chose. */
export type NetworkId = string;

/** One metadata key. `null` is "known, without a value": it is listed, and answers 200 empty. */
export type KeyValue = readonly [name: string, value: string | null];

/** A body that does not lie in memory. */
export interface StoredBody {
  readonly length: number;
  /** Strong hash of the content, see `contentHash` in `protocol/etag.ts`. */
  readonly hash: string;
  /** @throws {StateError} if the body cannot be read back whole and unchanged. */
  read(): Promise<Uint8Array>;
}

/** User data as the guest will see it: decoded bytes, never base64. */
export type Body = Uint8Array | StoredBody;

/** Where a binding's content was read, for `why`. */
export interface Origin {
  readonly kind: "databag" | "apply" | "file" | "store";
  /** File, or the command's type; never a value. */
  readonly place: string;
}

export interface Binding {
  readonly network: NetworkId;
  readonly address: Ip;
  /** Absent where the source has no lease for the address. */
  readonly mac?: Mac;
  /** Rises whenever the address passes to another instance; never reused for one address. */
  readonly epoch: number;
  /** The instance's id (CloudStack: the VM's UUID). */
  readonly instance: string;
  /** The instance's host name, for people. */
  readonly name: string;
  /** In CloudStack's order; names are unique and match `KEY_NAME`. */
  readonly keys: readonly KeyValue[];
  readonly userData?: Body;
  /** What the guest may fetch beside it. Not empty. */
  readonly payloads?: readonly Payload[];
  /** An operator has closed it: no user data, no payload, and no password is given out. */
  readonly sealed?: true;
  readonly origin: Origin;
  /**
   * What the source wants to be reminded of after a restart. Only the source reads it; whoever
   * keeps the binding keeps it as it is. Never a secret.
   */
  readonly note?: string;
}

/** Names of keys that may be served. Others are hostile or a mistake: reported and skipped. */
export const KEY_NAME: RegExp = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/** Why nothing is answered at an address of which something is known. */
export type WithholdReason =
  /** There are leases, and none for this address. */
  | "no-lease"
  /** The lease says `remove: true`. */
  | "lease-removed"
  /** The lease has a new MAC, the metadata is the former instance's: 503 for a while, then 404. */
  | "awaiting-metadata"
  /** More than one instance claims the address. */
  | "conflict"
  /** Somebody asks from it whose MAC address is not the one of its lease. Never kept. */
  | "mac-mismatch"
  /** The kernel has not said in time whose MAC address it has. Never kept. */
  | "mac-unknown";

export interface Withheld {
  readonly network: NetworkId;
  readonly address: Ip;
  readonly reason: WithholdReason;
  /** The epoch that has begun, or the last one. */
  readonly epoch: number;
  readonly mac?: Mac;
  /** Milliseconds since 1970, by the clock given to the source. */
  readonly since: number;
  /** As of a binding. */
  readonly note?: string;
}

/** An object while it is being made: fields that may be absent are added one by one. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] };
