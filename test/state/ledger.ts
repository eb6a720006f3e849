/**
 * A ledger of passwords with a clock that is set and a journal that remembers, for tests.
 */

import type { Ip } from "../../src/model/address.ts";
import { parseIp } from "../../src/model/address.ts";
import type { Delivered } from "../../src/model/change.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { type PasswordChange, Passwords } from "../../src/router/passwords.ts";
import type { PasswordEntry } from "../../src/router/state/entry.ts";

export const NETWORK = "204";
export const GUEST: Ip = parseIp("10.1.1.5");
export const MINUTE = 60_000;

export interface Desk {
  passwords: Passwords;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  time: number;
  /** What the journal does before it answers: nothing, an error, or waiting. */
  before: () => Promise<void>;
  /** Entries that are durable. */
  readonly durable: PasswordEntry[];
  /** What a store was told of. */
  readonly delivered: Delivered[];
  /** How many writes there were. */
  readonly writes: () => number;
  /** Everything but what is durable is forgotten. */
  restart(): void;
  offer(password: string | undefined, more?: Partial<PasswordChange>): Promise<void>;
  send(more?: Where): string | undefined;
  acknowledge(more?: Where): Promise<void>;
  /** Codes of the conditions that hold. */
  held(): readonly string[];
}

export interface Where {
  readonly address?: Ip;
  readonly epoch?: number;
}

export function ledger(): Desk {
  const durable: PasswordEntry[] = [];
  const delivered: Delivered[] = [];
  let writes = 0;
  const conditions = new Conditions(() => 0);
  const open = (): Passwords => {
    return new Passwords({
      journal: async (entries) => {
        await desk.before();
        writes++;
        for (const entry of entries) if (entry.kind === "password") durable.push(entry.record);
      },
      digestKey: Buffer.alloc(32, 7),
      now: () => desk.time,
      conditions,
      onDelivered: (one) => delivered.push(one),
    });
  };
  const desk: Desk = {
    passwords: undefined as unknown as Passwords,
    conditions,
    time: 1_000_000_000,
    before: () => Promise.resolve(),
    durable,
    delivered,
    writes: () => writes,
    restart() {
      desk.passwords = open();
      const last = new Map(durable.map((entry) => [`${entry.network} ${entry.address}`, entry]));
      desk.passwords.restore([...last.values()]);
    },
    offer: (password, more) =>
      desk.passwords.offer({
        kind: "password",
        network: NETWORK,
        address: GUEST,
        epoch: 1,
        password,
        via: "apply",
        standing: false,
        ...more,
      }),
    send: ({ address = GUEST, epoch = 1 } = {}) => desk.passwords.send(NETWORK, address, epoch),
    acknowledge: ({ address = GUEST, epoch = 1 } = {}) =>
      desk.passwords.acknowledge(NETWORK, address, epoch),
    held: () => conditions.list().map(({ code, subject }) => `${code} ${subject}`),
  };
  desk.passwords = open();
  return desk;
}

/** How a file states a password. */
export const STANDING = { standing: true, via: "vmpassword.json" } as const;

/** The guest reads its password and says that it has it. */
export async function collect(desk: Desk): Promise<string | undefined> {
  const password = desk.send();
  if (password !== undefined) await desk.acknowledge();
  return password;
}
