/**
 * A cloud as it was read at one time: what the mapping to records is made from.
 */

import type { INSTANCE, Item, NETWORK, NIC, PUBLIC_ADDRESS } from "./fields.ts";

export interface CloudNic extends Omit<Item<typeof NIC>, "secondaryip"> {
  readonly secondary: readonly string[];
}

/** Why user data that is there cannot be served. */
export type UserDataTrouble = "user-data-invalid" | "user-data-too-large";

export interface Instance
  extends Omit<Item<typeof INSTANCE>, "id" | "nic" | "details" | "userdata"> {
  readonly id: string;
  /** Its bytes: as text they would take a third more, in a list of the whole cloud. */
  readonly userData: Uint8Array | UserDataTrouble | undefined;
  readonly nics: readonly CloudNic[];
  /** The text of its SSH keys, one a line. No other detail is kept: some are secret. */
  readonly publicKeys: string | undefined;
  /** False where a needed field is missing: then nothing is said about it but that it exists. */
  readonly usable: boolean;
}

export type CloudNetwork = Item<typeof NETWORK>;
export type PublicAddress = Item<typeof PUBLIC_ADDRESS>;

/** CloudStack's settings of what guests may know. */
export interface Exposed {
  /** Accounts, as `accountName` has it, whose guests may know their host's name. */
  readonly hosts: ReadonlySet<string>;
  /** Ids of the domains whose guests may know the domain. */
  readonly domains: ReadonlySet<string>;
  /** The cloud's name, by the id of the zone. */
  readonly cloudNames: ReadonlyMap<string, string>;
}

export interface Cloud {
  readonly instances: readonly Instance[];
  /** Whether an instance that is not among them is gone. */
  readonly complete: boolean;
  readonly networks: ReadonlyMap<string, CloudNetwork>;
  /** `undefined` where the API keys may not read them. */
  readonly publicAddresses: readonly PublicAddress[] | undefined;
  /** The offerings' texts, by id. */
  readonly offerings: ReadonlyMap<string, string>;
  /** The id of each instance's root disk; not there where it has none, or it is not known. */
  readonly rootDisks: ReadonlyMap<string, string>;
  readonly identifier: string | undefined;
  readonly exposed: Exposed;
}

/** An account's name within the cloud: names are unique within a domain only. */
export function accountName(domainid: string | undefined, account: string | undefined): string {
  return `${domainid ?? ""}/${account ?? ""}`;
}
