/**
 * Goal: whatever is written to a store, whenever the router looks or starts anew, and whatever its
 * guests acknowledge, the router answers what the store holds, and delivers what waits there.
 * Method: random writes to a store in memory, and a router's memory that follows it; whenever
 * everything has settled, the two must say the same.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Ip, parseIp } from "../../model/address.ts";
import { StoreError } from "../../model/errors.ts";
import { type InstanceRecord, passwordAddress } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { MemoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { type Desk, openDesk } from "./testing.ts";

const RUNS = process.env.FRONTDESK_LONG === "1" ? 2000 : 150;
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
  | { readonly kind: "delete"; readonly id: string }
  | { readonly kind: "collect"; readonly at: Ip }
  | { readonly kind: "settle" }
  | { readonly kind: "restart" };

const id = fc.constantFrom(...IDS);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    ...{ kind: fc.constant("put" as const), id, last: fc.boolean() },
    at: fc.subarray(ADDRESSES, { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("reset" as const), id, text: fc.constantFrom("x", "y") }),
  fc.record({ kind: fc.constant("delete" as const), id }),
  fc.record({ kind: fc.constant("collect" as const), at: fc.constantFrom(...ADDRESSES) }),
  fc.record({ kind: fc.constant("settle" as const) }),
  fc.record({ kind: fc.constant("restart" as const) }),
);

test("a router that follows a store says what the store says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const store = new MemoryStore();
      let desk = begin(store);
      /** Secrets that a guest has acknowledged. */
      const done = new Set<string>();
      let count = 0;
      for (const step of [...steps, { kind: "settle" } as const]) {
        if (step.kind === "put") await write(store, step);
        else if (step.kind === "delete") await store.delete({ network, id: step.id });
        else if (step.kind === "reset") {
          const held = await store.get({ network, id: step.id });
          const password = { id: `s-${++count}`, password: step.text };
          if (held !== undefined) await store.put({ ...held.record, password });
        } else if (step.kind === "collect") {
          await desk.settle();
          await collect(desk, store, { at: step.at, done });
        } else if (step.kind === "restart") {
          const former = desk;
          desk = begin(store, former);
          await former[Symbol.asyncDispose]();
        } else {
          await desk.settle();
          await agree(desk, store, done);
        }
      }
      await desk[Symbol.asyncDispose]();
      await store.close();
    }),
    { numRuns: RUNS },
  );
});

/** A router's memory; after another one it knows what that knew. */
function begin(store: Store, former?: Desk): Desk {
  // It ends with the router; the store does not.
  const open = async (): Promise<Store> =>
    new Proxy(store, {
      get: (target, name) => {
        if (name === "close") return async () => {};
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
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
  const { password } = held?.record ?? {};
  try {
    await store.put(
      parseRecord({
        ...{ network, id, name: id, nics, keys: [["instance-id", id]], publicKeys: [] },
        ...{ incarnation: 1, epoch: 1 },
        ...(password !== undefined && { password }),
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
  const record = (await records(store)).find((record) => passwordAddress(record) === at);
  expect(record?.password?.password).toBe(password);
  const secretId = String(record?.password?.id);
  expect(done.has(secretId)).toBe(false);
  done.add(secretId);
  await desk.passwords.acknowledge(network, at, entry.epoch);
}

async function agree(desk: Desk, store: Store, done: ReadonlySet<string>): Promise<void> {
  const all = await records(store);
  const expected = all.flatMap(({ id, epoch, nics }) =>
    nics.flatMap(({ addresses }) => addresses.map((address) => `${address} ${id} ${epoch}`)),
  );
  expect(desk.answers()).toEqual(expected.sort());
  for (const address of ADDRESSES) {
    const owner = all.find((record) => passwordAddress(record) === address);
    const { password } = owner ?? {};
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
