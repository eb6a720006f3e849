/**
 * Bindings, entries and folders for the tests of the state directory.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parseIp, parseMac } from "../../src/model/address.ts";
import type { Binding } from "../../src/model/binding.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import type { Entry, PasswordEntry } from "../../src/router/state/entry.ts";
import { openState, type RouterState, type StateOptions } from "../../src/router/state/state.ts";

export const REALM = "router";

/** A folder that goes when the test ends. */
export function scratch(base = tmpdir()): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(base, "frontdesk-state-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Opened extends AsyncDisposable {
  readonly state: RouterState;
  readonly conditions: Conditions;
  /** Codes of the conditions that hold, with their subjects' last part. */
  held(): readonly string[];
}

/** Memory for folders, where there is such a thing: for tests that write a great deal. */
export const MEMORY: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Opens a state directory with short intervals and conditions of its own. */
export async function open(dir: string, more: Partial<StateOptions> = {}): Promise<Opened> {
  const conditions = more.conditions ?? new Conditions(Date.now);
  const state = await openState({
    dir,
    realm: REALM,
    now: Date.now,
    retryMs: 20,
    ...more,
    conditions,
  });
  return {
    state,
    conditions,
    held: () =>
      conditions.list().map(({ code, subject }) => `${code} ${subject.split("/").at(-1)}`),
    [Symbol.asyncDispose]: () => state.close(),
  };
}

/** A binding like those of a real router; equal numbers make equal bindings. */
export function binding(index: number, more: Partial<Binding> = {}): Binding {
  const address = addressOf(index);
  const id = `5d6a0000-0000-4000-8000-${String(index).padStart(12, "0")}`;
  const name = `web-${index}`;
  return {
    network: "204",
    address,
    mac: parseMac(`02:00:00:00:${hex(index >> 8)}:${hex(index)}`),
    epoch: 1,
    instance: id,
    name,
    keys: [
      ["service-offering", "Small Instance"],
      ["availability-zone", "zone-ber-1"],
      ["local-ipv4", address],
      ["local-hostname", name],
      ["tier", "front"],
      ["public-ipv4", `203.0.113.${index % 256}`],
      ["public-hostname", `203.0.113.${index % 256}`],
      ["instance-id", id],
      ["vm-id", id],
      ["public-keys", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${hex(index).repeat(20)} u${index}@pc`],
      ["cloud-identifier", "CloudStack-{6f1c8f1c}"],
      ["hypervisor-host-name", null],
      ["account", `account-${index % 50}`],
      ["project", "p"],
    ],
    userData: new Uint8Array(256).map((_, at) => (index * 31 + at * 7) & 255),
    origin: { kind: "databag", place: "vmdata.json" },
    note: `digest-${index}`,
    ...more,
  };
}

export function addressOf(index: number): Binding["address"] {
  return parseIp(`10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`);
}

export function put(index: number, more: Partial<Binding> = {}): Entry {
  return { kind: "change", change: { kind: "put", binding: binding(index, more) } };
}

export function password(index: number, pending: string | undefined, epoch = 1): Entry {
  const record: PasswordEntry = {
    network: "204",
    address: addressOf(index),
    epoch,
    ...(pending === undefined ? {} : { pending, via: "apply" }),
    acknowledged: [],
  };
  return { kind: "password", record };
}

/** What a restart finds, in the form of the entries that say it. */
export function entriesOf({ recovered }: RouterState): readonly Entry[] {
  return [
    ...recovered.changes.map((change) => ({ kind: "change" as const, change })),
    ...recovered.passwords.map((record) => ({ kind: "password" as const, record })),
  ];
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, "0");
}

const text = fc.string({ unit: "binary", maxLength: 40 });
const whole = fc.maxSafeNat();
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((ip) => parseIp(ip));
const mac = fc.nat(255).map((byte) => parseMac(`02:00:00:00:00:${hex(byte)}`));

const keys = fc.uniqueArray(
  fc.tuple(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), fc.option(text)),
  { selector: ([name]) => name, maxLength: 8 },
);

const anyBinding: fc.Arbitrary<Binding> = fc.record(
  {
    network: text,
    address,
    mac,
    epoch: whole,
    instance: text,
    name: text,
    keys,
    userData: fc.uint8Array({ maxLength: 300 }),
    origin: fc.record({
      kind: fc.constantFrom("databag" as const, "apply" as const, "file" as const),
      place: text,
    }),
    note: text,
    sealed: fc.constant(true as const),
  },
  { requiredKeys: ["network", "address", "epoch", "instance", "name", "keys", "origin"] },
);

const anyPassword: fc.Arbitrary<PasswordEntry> = fc.record(
  {
    network: text,
    address,
    epoch: whole,
    pending: text,
    via: text,
    former: text,
    standing: text,
    acknowledged: fc.array(fc.record({ digest: text, at: whole, stated: fc.boolean() }), {
      maxLength: 4,
    }),
  },
  { requiredKeys: ["network", "address", "epoch", "acknowledged"] },
);

/** Entries of any kind and content. */
export const anyEntry: fc.Arbitrary<Entry> = fc.oneof(
  anyBinding.map((binding) => ({ kind: "change", change: { kind: "put", binding } }) as const),
  fc
    .record({ network: text, address })
    .map((gone) => ({ kind: "change", change: { kind: "delete", ...gone } }) as const),
  fc
    .record(
      {
        network: text,
        address,
        reason: fc.constantFrom("no-lease" as const, "conflict" as const),
        epoch: whole,
        mac,
        since: whole,
        note: text,
      },
      { requiredKeys: ["network", "address", "reason", "epoch", "since"] },
    )
    .map((withheld) => ({ kind: "change", change: { kind: "withhold", withheld } }) as const),
  anyPassword.map((record) => ({ kind: "password", record }) as const),
);
