/**
 * Goal: whatever is written to a store, whenever the router looks or starts anew, and whatever its
 * guests acknowledge, the router answers what the store holds, and delivers what waits there. Also
 * when another store takes its place, that has a part of the records.
 * Method: random writes to a store in memory, and a router's memory that follows it; whenever
 * everything has settled, the two must say the same.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Ip, parseIp } from "../../model/address.ts";
import { StoreError } from "../../model/errors.ts";
import type { FeedElement } from "../../model/feed.ts";
import {
  addressesOf,
  type InstanceRecord,
  isSealed,
  passwordAddress,
  sealed,
  unsealed,
} from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { MemoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { type Desk, openDesk } from "./testing.ts";

/** Longer than a new store is waited for. ms. */
const REFILLED_MS = 11 * 60_000;
const RUNS = process.env.FRONTDESK_LONG === "1" ? 2000 : 150;
/** The long tier, on a machine that is busy. */
const TEST_MS_MAX = 60_000;
const network = "204";
const ADDRESSES = ["10.1.1.1", "10.1.1.2", "10.1.1.3", "10.1.1.4"].map(parseIp);
const IDS = ["a", "b", "c"];

type Step =
  | {
      readonly kind: "put";
      readonly id: string;
      readonly at: readonly Ip[];
      readonly last: boolean;
    }
  | { readonly kind: "reset"; readonly id: string; readonly text: string }
  | { readonly kind: "seal"; readonly id: string; readonly closes: boolean }
  | { readonly kind: "delete"; readonly id: string }
  | { readonly kind: "collect"; readonly at: Ip }
  | { readonly kind: "replace"; readonly ids: readonly string[] }
  | { readonly kind: "look" }
  | { readonly kind: "settle" }
  | { readonly kind: "restart" };

const id = fc.constantFrom(...IDS);
const put = fc.record({
  ...{ kind: fc.constant("put" as const), id, last: fc.boolean() },
  at: fc.subarray(ADDRESSES, { maxLength: 3 }),
});
/** Writes and looks by turns say most. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("look" as const) }) },
  fc.record({ kind: fc.constant("reset" as const), id, text: fc.constantFrom("x", "y") }),
  fc.record({ kind: fc.constant("seal" as const), id, closes: fc.boolean() }),
  fc.record({ kind: fc.constant("delete" as const), id }),
  fc.record({ kind: fc.constant("collect" as const), at: fc.constantFrom(...ADDRESSES) }),
  fc.record({ kind: fc.constant("replace" as const), ids: fc.subarray(IDS) }),
  fc.record({ kind: fc.constant("settle" as const) }),
  fc.record({ kind: fc.constant("restart" as const) }),
);

test(
  "a router that follows a store says what the store says",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
        const file = new Replaceable();
        let desk = begin(file);
        /** Secrets that a guest has acknowledged. */
        const done = new Set<string>();
        /** By id of its record, the secret that was set last. */
        const owed = new Map<string, string>();
        let count = 0;
        for (const step of [...steps, { kind: "settle" } as const]) {
          const { store } = file;
          if (step.kind === "replace") {
            await file.replace(step.ids, done);
            for (const id of IDS) if (!step.ids.includes(id)) owed.delete(id);
          } else if (step.kind === "put") await write(store, step);
          else if (step.kind === "delete") {
            await store.delete({ network, id: step.id });
            owed.delete(step.id);
          } else if (step.kind === "reset") {
            const held = await store.get({ network, id: step.id });
            const password = { id: `s-${++count}`, password: step.text };
            if (held === undefined) continue;
            await store.put({ ...held.record, password });
            owed.set(step.id, password.id);
          } else if (step.kind === "seal") {
            const held = await store.get({ network, id: step.id });
            const change = step.closes ? sealed : unsealed;
            if (held !== undefined) await store.put(change(held.record));
          } else if (step.kind === "collect") {
            await desk.settle();
            await collect(desk, store, { at: step.at, done });
          } else if (step.kind === "restart") {
            const former = desk;
            desk = begin(file, former);
            await former[Symbol.asyncDispose]();
          } else {
            await desk.settle();
            await holds(desk, store);
            if (step.kind === "look") continue;
            desk.now += REFILLED_MS; // What a new store lacks is gone by then.
            await desk.settle();
            await agree(desk, store, done);
            // None is taken for delivered that no guest has acknowledged.
            for (const { id, password } of await records(store)) {
              const secret = owed.get(id) ?? "";
              if (secret !== "" && !done.has(secret)) expect(password?.id).toBe(secret);
            }
          }
        }
        await desk[Symbol.asyncDispose]();
        await file.store.close();
      }),
      { numRuns: RUNS },
    );
  },
  TEST_MS_MAX,
);

/** A place where one store takes another's. */
class Replaceable {
  store = new MemoryStore();
  #replaced = new AbortController();
  #epoch = 1;

  /** As a reader has it: it does not end with its reader, and says when it is another one. */
  async open(): Promise<Store> {
    const { store } = this;
    const { signal: replaced } = this.#replaced;
    const follow = async function* (signal: AbortSignal): AsyncGenerator<FeedElement> {
      yield* store.follow(AbortSignal.any([signal, replaced]));
      if (replaced.aborted) throw new StoreError("STORE_REPLACED", "another one");
    };
    const own: Partial<Store> = { follow, close: async () => {} };
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(name in own ? own : target, name) as unknown;
        return typeof value === "function" && !(name in own) ? value.bind(target) : value;
      },
    });
  }

  /** The new one has some of the records, and its epochs begin above. */
  async replace(ids: readonly string[], done: ReadonlySet<string>): Promise<void> {
    const former = await records(this.store);
    const next = new MemoryStore();
    this.#epoch += 1000;
    const first = { network, id: "first", name: "first", keys: [], publicKeys: [], incarnation: 1 };
    const nics = [{ addresses: ["10.9.9.9"], default: true }];
    await next.put(parseRecord({ ...first, nics, epoch: this.#epoch }));
    await next.delete(first);
    for (const record of former.filter(({ id }) => ids.includes(id))) {
      const { password, ...rest } = record;
      const waits = password !== undefined && !done.has(password.id);
      await next.put({ ...rest, ...(waits && { password }) });
    }
    this.store = next;
    this.#replaced.abort();
    this.#replaced = new AbortController();
  }
}

/** A router's memory; after another one it knows what that knew. */
function begin(file: Replaceable, former?: Desk): Desk {
  const open = () => file.open();
  if (former === undefined) return openDesk({ open });
  const restored = [...former.directory.entries()].flatMap((entry) => {
    if (entry.kind !== "bound") return [];
    const { kind: _, document, ...binding } = entry;
    const keys = document.shape.names.map(
      (name, at) => [name, document.values[at] ?? null] as const,
    );
    return [{ kind: "put", binding: { ...binding, keys } } as const];
  });
  const entries = [...former.passwords.entries()];
  const desk = openDesk({ open, restored, epochs: entries });
  desk.passwords.restore(entries);
  return desk;
}

async function write(
  store: Store,
  { id, at, last }: Extract<Step, { kind: "put" }>,
): Promise<void> {
  const held = await store.get({ network, id });
  // Each address is a NIC, so that the default one may be another without a new address.
  const nics = at.map((address, index) => ({
    addresses: [address],
    default: index === (last ? at.length - 1 : 0),
  }));
  const { password, sealedIncarnation } = held?.record ?? {};
  try {
    await store.put(
      parseRecord({
        ...{ network, id, name: id, nics, keys: [["instance-id", id]], publicKeys: [] },
        ...{ incarnation: 1, epoch: 1 },
        ...(password !== undefined && { password }),
        ...(sealedIncarnation !== undefined && { sealedIncarnation }),
      }),
    );
  } catch (error) {
    if (!(error instanceof StoreError)) throw error; // Another one has the address.
  }
}

/** A guest reads its password and acknowledges it. */
async function collect(
  desk: Desk,
  store: Store,
  { at, done }: { at: Ip; done: Set<string> },
): Promise<void> {
  const entry = desk.directory.find(at);
  if (entry === undefined) return;
  const password = desk.passwords.send(network, at, entry.epoch);
  if (password === undefined) return;
  const all = await records(store);
  // Of a former store: it is answered as before, its password included.
  if (!all.some((record) => addressesOf(record).includes(at))) return;
  const record = all.find((record) => passwordAddress(record) === at);
  expect(record?.password?.password).toBe(password);
  const secretId = String(record?.password?.id);
  expect(done.has(secretId)).toBe(false);
  done.add(secretId);
  await desk.passwords.acknowledge(network, at, entry.epoch);
}

/** What the store names is answered, whatever else is. */
async function holds(desk: Desk, store: Store): Promise<void> {
  for (const { id, epoch, nics } of await records(store)) {
    for (const address of nics.flatMap(({ addresses }) => addresses)) {
      expect(desk.answers()).toContain(`${address} ${id} ${epoch}`);
    }
  }
}

async function agree(desk: Desk, store: Store, done: ReadonlySet<string>): Promise<void> {
  const all = await records(store);
  const expected = all.flatMap(({ id, epoch, nics }) =>
    nics.flatMap(({ addresses }) => addresses.map((address) => `${address} ${id} ${epoch}`)),
  );
  expect(desk.answers()).toEqual(expected.sort());
  for (const record of all) {
    for (const address of addressesOf(record)) {
      const entry = desk.directory.find(address);
      expect(entry?.kind === "bound" && entry.sealed === true).toBe(isSealed(record));
    }
  }
  for (const address of ADDRESSES) {
    const owner = all.find((record) => passwordAddress(unsealed(record)) === address);
    const password = owner === undefined || isSealed(owner) ? undefined : owner.password;
    const waits = password !== undefined && !done.has(password.id);
    const epoch = owner?.epoch ?? desk.directory.find(address)?.epoch ?? 0;
    expect(desk.passwords.pending(network, address, epoch)).toBe(
      waits ? password.password : undefined,
    );
  }
}

async function records(store: Store): Promise<readonly InstanceRecord[]> {
  return (await store.list()).records.map(({ record }) => record);
}
