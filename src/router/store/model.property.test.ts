/**
 * Goal: whatever is written to a store, whenever the router looks or starts anew, and whatever its
 * guests acknowledge, the router answers what the store holds, and delivers what waits there. Also
 * when another store takes its place, that has a part of the records, and when a record cannot be
 * opened until it is written again.
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
  | { readonly kind: "damage"; readonly id: string }
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
  fc.record({ kind: fc.constant("damage" as const), id }),
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
          } else if (step.kind === "put") await write(file, step);
          else if (step.kind === "delete") {
            await store.delete({ network, id: step.id });
            file.damaged.delete(step.id);
            owed.delete(step.id);
          } else if (step.kind === "damage") {
            await desk.settle();
            const isThere = (await store.get({ network, id: step.id })) !== undefined;
            const answers = desk.answers().filter((line) => line.split(" ")[1] === step.id);
            if (isThere && !file.damaged.has(step.id)) file.damaged.set(step.id, answers);
          } else if (step.kind === "reset") {
            const held = await store.get({ network, id: step.id });
            const password = { id: `s-${++count}`, password: step.text };
            if (held === undefined) continue;
            await file.put({ ...held.record, password });
            owed.set(step.id, password.id);
          } else if (step.kind === "seal") {
            const held = await store.get({ network, id: step.id });
            const change = step.closes ? sealed : unsealed;
            if (held !== undefined) await file.put(change(held.record));
          } else if (step.kind === "collect") {
            await desk.settle();
            await collect(desk, store, { at: step.at, done });
          } else if (step.kind === "restart") {
            const former = desk;
            desk = begin(file, former);
            await former[Symbol.asyncDispose]();
          } else {
            await desk.settle();
            await holds(desk, file);
            if (step.kind === "look") continue;
            await file.repair();
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
  /** Ids of records that cannot be opened, with what was answered for them before. */
  readonly damaged: Map<string, readonly string[]> = new Map();
  #written = 0;
  #replaced = new AbortController();
  #epoch = 1;

  /** As a reader has it: it does not end with its reader, and says when it is another one. */
  async open(): Promise<Store> {
    const { store, damaged } = this;
    const { signal: replaced } = this.#replaced;
    const follow = async function* (signal: AbortSignal): AsyncGenerator<FeedElement> {
      for await (const element of store.follow(AbortSignal.any([signal, replaced]))) {
        yield legible(element, damaged);
      }
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

  /** What is written over a record that cannot be opened is another one in any case. */
  async put(record: InstanceRecord): Promise<void> {
    const isDamaged = this.damaged.has(record.id);
    await this.store.put(isDamaged ? { ...record, zone: `z-${++this.#written}` } : record);
    this.damaged.delete(record.id);
  }

  async repair(): Promise<void> {
    for (const id of this.damaged.keys()) {
      const held = await this.store.get({ network, id });
      if (held !== undefined) await this.put(held.record);
    }
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
    this.damaged.clear();
    this.store = next;
    this.#replaced.abort();
    this.#replaced = new AbortController();
  }
}

/** As who cannot open all of it reads it. */
function legible(element: FeedElement, damaged: ReadonlyMap<string, unknown>): FeedElement {
  if (element.kind === "changes") {
    const changes = element.changes.filter((change) => {
      if (change.kind === "delete") return true;
      return !damaged.has(change.kind === "put" ? change.record.id : change.id);
    });
    return { ...element, changes };
  }
  const isDamaged = ({ record }: { record: InstanceRecord }): boolean => damaged.has(record.id);
  return {
    ...element,
    records: element.records.filter((stored) => !isDamaged(stored)),
    damaged: element.records.filter(isDamaged).map(({ record: { id } }) => ({ network, id })),
  };
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
  file: Replaceable,
  { id, at, last }: Extract<Step, { kind: "put" }>,
): Promise<void> {
  const held = await file.store.get({ network, id });
  // Each address is a NIC, so that the default one may be another without a new address.
  const nics = at.map((address, index) => ({
    addresses: [address],
    default: index === (last ? at.length - 1 : 0),
  }));
  const { password, sealedIncarnation } = held?.record ?? {};
  try {
    await file.put(
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

/** What the store names is answered, whatever else is; what it cannot open, as it was. */
async function holds(desk: Desk, { store, damaged }: Replaceable): Promise<void> {
  for (const answers of damaged.values()) {
    for (const line of answers) expect(desk.answers()).toContain(line);
  }
  for (const { id, epoch, nics } of await records(store)) {
    if (damaged.has(id)) continue;
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
