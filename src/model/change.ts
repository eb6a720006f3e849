/**
 * How news travels: from sources and stores into the router's directory.
 *
 * A batch of changes is applied at once: no guest sees half of it. Changes of one
 * address come in the order in which they happened.
 */

import type { Ip } from "./address.ts";
import type { Binding, NetworkId, Withheld } from "./binding.ts";

export type Change =
  /** Replaces whatever is known at (network, address). */
  | { readonly kind: "put"; readonly binding: Binding }
  /** Something is known there, but nothing may be answered. */
  | { readonly kind: "withhold"; readonly withheld: Withheld }
  /** Nothing is known there any more. */
  | { readonly kind: "delete"; readonly network: NetworkId; readonly address: Ip }
  /** A password to deliver to the address in this epoch; `undefined` clears a pending one. */
  | {
      readonly kind: "password";
      readonly network: NetworkId;
      readonly address: Ip;
      readonly epoch: number;
      readonly password: string | undefined;
      /** Where it came from, for `why`: `vmpassword.json`, `apply`, `save_password` … */
      readonly via: string;
      /**
       * True when a file states it, so that the same statement is read again at every start: only
       * a statement that differs from the last one of this address is news.
       */
      readonly standing: boolean;
      /**
       * Whose password the file states. Absent where it names an address only: then the same text
       * is old news also when another instance has the address. From a store, the secret's id:
       * another id is another password, whatever the text.
       */
      readonly of?: string;
    };

/**
 * The `via` of passwords that a store has. The store keeps account of them: it is told when a guest
 * has one, and what it takes back is only its own.
 */
export const VIA_STORE = "store";

/** A guest has a password that a store had for it. */
export interface Delivered extends Place {
  /** The secret's id. */
  readonly secretId: string;
}

/** One address of one network. */
export interface Place {
  readonly network: NetworkId;
  readonly address: Ip;
}

/** Of which address a change tells. */
export function placeOf(change: Change): Place {
  if (change.kind === "put") return change.binding;
  return change.kind === "withhold" ? change.withheld : change;
}

/** An epoch that an address has reached. */
export interface Epoch extends Place {
  readonly epoch: number;
}

/** An address that the router should listen on, and the network that it serves. */
export interface Endpoint {
  readonly address: Ip;
  readonly network: NetworkId;
}

/** A network of guests as a source knows it. */
export interface Network {
  readonly id: NetworkId;
  /** Empty where the source does not say: then only addresses with a binding belong to it. */
  readonly cidrs: readonly string[];
  /** The DNS domain of its guests, for the Host allow-list. */
  readonly dnsDomain?: string;
}
