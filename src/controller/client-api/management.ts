/**
 * What the API remembers of an instance and no guest is told: its state, what it was made from.
 *
 * An instance that somebody else put in the store has none of it; then it is running, and what its
 * record says is all that is known.
 */

import { z } from "zod";
import type { Records } from "./inventory.ts";

const PAIRS = z.array(z.tuple([z.string(), z.string()]));

const MANAGEMENT = z.object({
  displayname: z.string(),
  /** Milliseconds since 1970. */
  created: z.number(),
  /** When it was installed anew, if it was. Milliseconds since 1970. */
  restored: z.number().optional(),
  state: z.enum(["Running", "Stopped"]),
  serviceofferingid: z.string(),
  templateid: z.string(),
  /** Names of key pairs. */
  keypairs: z.array(z.string()),
  /** The registered user data that it has. */
  userdataid: z.string().optional(),
  userdatadetails: PAIRS,
  details: PAIRS,
});

export type Management = Readonly<z.infer<typeof MANAGEMENT>>;

export function parseManagement(value: unknown): Management | undefined {
  return MANAGEMENT.safeParse(value).data;
}

/** What holds where nothing is remembered. */
export function presumed([{ record }]: Records): Management {
  return {
    displayname: record.name,
    created: 0,
    state: "Running",
    serviceofferingid: "",
    templateid: "",
    keypairs: [],
    userdatadetails: [],
    details: [],
  };
}

const KEY_PAIR = z.object({
  id: z.string(),
  name: z.string(),
  /** One line, as it stands in `authorized_keys`. */
  publicKey: z.string(),
  fingerprint: z.string(),
});

export type KeyPair = Readonly<z.infer<typeof KEY_PAIR>>;

export function parseKeyPair(value: unknown): KeyPair | undefined {
  return KEY_PAIR.safeParse(value).data;
}

const USER_DATA = z.object({
  id: z.string(),
  name: z.string(),
  /** Standard base64, padded. */
  userdata: z.string(),
  /** Names of the details that it is written for, with commas between. */
  params: z.string().optional(),
});

export type RegisteredUserData = Readonly<z.infer<typeof USER_DATA>>;

export function parseUserData(value: unknown): RegisteredUserData | undefined {
  return USER_DATA.safeParse(value).data;
}
