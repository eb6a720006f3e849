/**
 * Goal: whatever is put, deleted and acknowledged, and however often the store is opened anew, it
 * answers as the simplest thing that could, and its followers know the same.
 * Method: random commands on a store and on a map; after each, the answers are compared, and at the
 * end what the store holds and what a follower has put together.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { MetadataError, StoreConflictError } from "../../src/model/errors.ts";
import { addressesOf, type InstanceRecord } from "../../src/model/record.ts";
import type { Store } from "../../src/store/store.ts";
import { keyOf, type Listener, listen, nic, record, STORES, scratch, whole } from "./samples.ts";

const RUNS = 60;
/** The sizes of user data lie on both sides of the size at which it gets a row of its own. */
const SIZES = [undefined, 0, 10, 2048, 2049, 5000];

type Command =
  | {
      readonly kind: "put";
      readonly id: number;
      readonly addresses: readonly number[];
      readonly size: number | undefined;
      readonly secret: number | undefined;
      readonly expect: "any" | "right" | "wrong";
    }
  | { readonly kind: "delete"; readonly id: number; readonly expect: "any" | "right" | "wrong" }
  | { readonly kind: "ack"; readonly id: number; readonly secret: number }
  | { readonly kind: "reopen" }
  | { readonly kind: "look" };

const id = fc.integer({ min: 0, max: 3 });
const secret = fc.integer({ min: 0, max: 2 });
const expectation = fc.constantFrom("any" as const, "right" as const, "wrong" as const);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      id,
      addresses: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
      size: fc.constantFrom(...SIZES),
      secret: fc.option(secret, { nil: undefined }),
      expect: expectation,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete" as const), id, expect: expectation }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("ack" as const), id, secret }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "look" as const }) },
);

interface Kept {
  readonly record: InstanceRecord;
  readonly revision: number;
  readonly acknowledged: readonly number[];
}

/** What a store is, without its keeping, its followers and its speed. */
class Model {
  readonly kept = new Map<number, Kept>();
  /** Each epoch that an address had, with whom. */
  readonly epochs = new Map<string, Map<number, string>>();
  revision = 0;

  revisionOf(id: number): number {
    return this.kept.get(id)?.revision ?? 0;
  }
}

for (const [name, open] of Object.entries(STORES)) {
  test(`${name} answers as a map would, and its followers know what it holds`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        using folder = scratch();
        const model = new Model();
        let store = await open(folder.path);
        let follower = listen(store);
        for (const one of commands) {
          if (one.kind === "reopen") {
            // What is in memory ends with its store.
            if (name === "memory") continue;
            await check(store, follower, model);
            await store.close();
            store = await open(folder.path);
            follower = listen(store);
          } else if (one.kind === "look") await check(store, follower, model);
          else await run(one, store, model);
        }
        await check(store, follower, model);
        await store.close();
      }),
      { numRuns: RUNS },
    );
  }, 60_000);
}

async function run(
  one: Exclude<Command, { kind: "reopen" | "look" }>,
  store: Store,
  model: Model,
): Promise<void> {
  if (one.kind === "put") return put(one, store, model);
  const name = { network: "204", id: `i-${one.id}` };
  const kept = model.kept.get(one.id);
  if (one.kind === "ack") {
    const secretId = `s-${one.secret}`;
    const epoch = kept?.record.epoch ?? 1;
    const isPending = kept?.record.password?.id === secretId;
    const isDone = kept?.acknowledged.includes(one.secret) === true;
    const answer = await store.ack({ network: "204", instance: name.id, epoch, secretId });
    expect(answer).toBe(isPending || isDone);
    if (kept === undefined || !isPending) return;
    const { password: _, ...bare } = kept.record;
    model.revision++;
    const acknowledged = [...kept.acknowledged, one.secret];
    model.kept.set(one.id, { record: bare, revision: model.revision, acknowledged });
    return;
  }
  const answer = await outcome(store.delete(name, expectOf(one.expect, model.revisionOf(one.id))));
  if (one.expect === "wrong") {
    expect(answer).toBeInstanceOf(StoreConflictError);
    return;
  }
  if (kept !== undefined) model.revision++;
  expect(answer).toBe(kept === undefined ? undefined : model.revision);
  model.kept.delete(one.id);
}

async function put(
  one: Extract<Command, { kind: "put" }>,
  store: Store,
  model: Model,
): Promise<void> {
  const kept = model.kept.get(one.id);
  const given = record({
    id: `i-${one.id}`,
    nics: [nic(...one.addresses.map((last) => `10.1.1.${last}`))],
    ...(one.size !== undefined && { userData: new Uint8Array(one.size).fill(one.id) }),
    ...(one.secret !== undefined && { password: { id: `s-${one.secret}`, password: "pw" } }),
  });
  const answer = await outcome(store.put(given, expectOf(one.expect, model.revisionOf(one.id))));
  if (one.expect === "wrong") {
    expect(answer).toBeInstanceOf(StoreConflictError);
    return;
  }
  const isTaken = addressesOf(given).some((address) =>
    [...model.kept].some(
      ([id, { record }]) => id !== one.id && addressesOf(record).includes(address),
    ),
  );
  if (isTaken) {
    expect(answer).toMatchObject({ code: "STORE_ADDRESS_TAKEN" });
    return;
  }
  const stored = answer as { record: InstanceRecord; revision: number };
  const { epoch } = stored.record;
  const { password, ...bare } = given;
  const isOld = one.secret !== undefined && kept?.acknowledged.includes(one.secret) === true;
  const wanted = { ...bare, epoch, ...(password !== undefined && !isOld && { password }) };
  expect(await whole(stored.record)).toEqual(await whole(wanted));
  const isSame =
    kept !== undefined && Bun.deepEquals(await whole(kept.record), await whole(wanted));
  if (!isSame) model.revision++;
  expect(stored.revision).toBe(isSame ? kept.revision : model.revision);
  checkEpochs(stored.record, kept?.record, model);
  const { revision } = stored;
  model.kept.set(one.id, { record: wanted, revision, acknowledged: kept?.acknowledged ?? [] });
}

/** An address that is new to a record has an epoch above all that it had with anybody. */
function checkEpochs(now: InstanceRecord, before: InstanceRecord | undefined, model: Model): void {
  for (const address of addressesOf(now)) {
    const epochs = model.epochs.get(address) ?? new Map<number, string>();
    model.epochs.set(address, epochs);
    const isNew = before === undefined || !addressesOf(before).includes(address);
    if (isNew) expect(now.epoch).toBeGreaterThan(Math.max(0, ...epochs.keys()));
    expect(epochs.get(now.epoch) ?? now.id).toBe(now.id);
    epochs.set(now.epoch, now.id);
  }
}

async function check(store: Store, follower: Listener, model: Model): Promise<void> {
  await follower.reaches(model.revision);
  const wanted = new Map<string, object>();
  for (const { record } of model.kept.values()) wanted.set(keyOf(record), await whole(record));
  const followed = new Map<string, object>();
  for (const [key, record] of follower.known) followed.set(key, await whole(record));
  expect(Object.fromEntries(followed)).toEqual(Object.fromEntries(wanted));
  const { records, revision } = await store.list();
  expect(revision).toBe(model.revision);
  const listed = new Map<string, object>();
  for (const { record } of records) listed.set(keyOf(record), await whole(record));
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(wanted));
  expect(follower.heard.filter((one) => one.startsWith("backwards"))).toEqual([]);
}

const expectOf = (kind: "any" | "right" | "wrong", revision: number): { expect?: number } =>
  kind === "any" ? {} : { expect: kind === "right" ? revision : revision + 1 };

/** What it resolves with, or the error of ours that it rejects with. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => {
    if (error instanceof MetadataError) return error;
    throw error;
  });
}
