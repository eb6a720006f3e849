/**
 * What a lab has without being told: a zone, a network, offerings and templates, one account.
 *
 * Their ids never change, so that a script that was written for one lab runs in the next.
 */

import type { Network } from "../../model/change.ts";
import { refuse } from "./errors.ts";

/** The version of CloudStack whose answers these are. */
export const VERSION = "4.22.0.0";

/** The cloud's own id, of `cloud-identifier`. */
export const CLOUD_ID = "f0c1de00-0000-4000-8000-000000000001";

/** When the catalogue was made, as far as the API is concerned. */
export const CREATED = "2026-11-23T00:00:00+0000";

export const DOMAIN = { id: "f0c1de00-0000-4000-8000-000000000002", name: "ROOT" } as const;

export const ACCOUNT = { id: "f0c1de00-0000-4000-8000-000000000003", name: "admin" } as const;

export const USER = { id: "f0c1de00-0000-4000-8000-000000000004", name: "admin" } as const;

export const ZONE = { id: "f0c1de00-0000-4000-8000-000000000010", name: "lab" } as const;

/** Every address of loopback is this machine's: a guest is whoever asks from one. */
export const LAB_NETWORK: Network = {
  id: "f0c1de00-0000-4000-8000-000000000020",
  cidrs: ["127.0.0.0/8"],
};

export const LAB_NETWORK_NAME = "lab";

/** Addresses are given from here on; those before are the machine's own, and its name servers'. */
export const LAB_FIRST = "127.1.0.1";

export const NETWORK_OFFERING = {
  id: "f0c1de00-0000-4000-8000-000000000021",
  name: "lab-shared",
  displaytext: "Shared network of a lab",
} as const;

export interface Offering {
  readonly id: string;
  readonly name: string;
  readonly displaytext: string;
  readonly cpunumber: number;
  readonly cpuspeed: number;
  /** MiB. */
  readonly memory: number;
}

export interface Template {
  readonly id: string;
  readonly name: string;
  readonly displaytext: string;
  readonly ostypename: string;
  readonly passwordenabled: boolean;
}

const offering = (n: number, name: string, cpunumber: number, memory: number): Offering => ({
  id: `f0c1de00-0000-4000-8000-00000000003${n}`,
  name: name.toLowerCase(),
  displaytext: `${name} Instance`,
  cpunumber,
  cpuspeed: 1000,
  memory,
});

export const OFFERINGS: readonly Offering[] = [
  offering(1, "Small", 1, 512),
  offering(2, "Medium", 2, 2048),
  offering(3, "Large", 4, 8192),
];

/** Nothing is run: a template says its name, and whether an instance of it gets a password. */
export const TEMPLATES: readonly Template[] = [
  {
    id: "f0c1de00-0000-4000-8000-000000000041",
    name: "debian-12",
    displaytext: "Debian 12",
    ostypename: "Debian GNU/Linux 12 (64-bit)",
    passwordenabled: false,
  },
  {
    id: "f0c1de00-0000-4000-8000-000000000042",
    name: "debian-12-password",
    displaytext: "Debian 12, with a password",
    ostypename: "Debian GNU/Linux 12 (64-bit)",
    passwordenabled: true,
  },
  {
    id: "f0c1de00-0000-4000-8000-000000000043",
    name: "windows-2022",
    displaytext: "Windows Server 2022, with a password",
    ostypename: "Windows Server 2022 (64-bit)",
    passwordenabled: true,
  },
];

/** The thing of an id. @throws {ClientApiError} 431 */
export function oneOf<T extends { readonly id: string }>(
  items: readonly T[],
  id: string,
  param: string,
): T {
  const item = items.find((one) => one.id === id);
  if (item === undefined) throw refuse("parameter", `${param}: there is no such thing in this lab`);
  return item;
}
