/**
 * Goal: a record that the store has and cannot open costs its guest nothing, also over a restart,
 * and lives no longer than its row. Method: a desk that an earlier run has left something, and a
 * store that says which records are damaged.
 */

import { expect, test } from "bun:test";
import type { Change } from "../../model/change.ts";
import { StoreError } from "../../model/errors.ts";
import type { FeedElement } from "../../model/feed.ts";
import { type StoredRecord, toBindings } from "../../model/record.ts";
import { A, B, C, changes, type Desk, NETWORKS, openDesk, record, scripted } from "./testing.ts";

function snapshot(
  revision: number,
  records: readonly StoredRecord[],
  damaged: readonly string[] = [],
): FeedElement {
  const names = damaged.map((id) => ({ network: "204", id }));
  return { kind: "snapshot", records, networks: NETWORKS, revision, damaged: names };
}

/** What an earlier run answered: `a` at two addresses, and `b`. */
const restored: readonly Change[] = [record("a", [A, B]), record("b", [C])].flatMap((record) =>
  toBindings(record, "sqlite:/s").map((binding): Change => ({ kind: "put", binding })),
);

const cleared = (desk: Desk): readonly string[] =>
  desk.batches
    .flat()
    .flatMap((change) =>
      change.kind === "password" && change.password === undefined ? [change.address] : [],
    );

test("after a restart a damaged record is answered as before, until its row is gone", async () => {
  const store = scripted();
  const epochs = [A, C].map((address) => ({ network: "204", address, epoch: 1 }));
  await using desk = openDesk({ ...store, restored, epochs });
  // `b` is not there any more, `a` is and cannot be opened.
  store.say(snapshot(7, [], ["a"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} a 1`]);
  // Nor is the password taken back that may wait there.
  expect(cleared(desk)).toEqual([C]);
  store.say(snapshot(8, [], ["a"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} a 1`]);
  store.say(changes(9, { kind: "delete", network: "204", id: "a", revision: 9 }));
  await desk.settle();
  expect([desk.answers(), cleared(desk)]).toEqual([[], [C, A]]);
});

test("what a later snapshot does not name at all is gone", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, restored });
  store.say(snapshot(7, [], ["a", "b", "nobody"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} a 1`, `${C} b 1`]);
  store.say(snapshot(8, [], ["b"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${C} b 1`]);
});

test("a record that is written again says what it is now, and what an earlier run knew ends", async () => {
  const store = scripted();
  const epochs = [A, B].map((address) => ({ network: "204", address, epoch: 1 }));
  await using desk = openDesk({ ...store, restored, epochs });
  store.say(snapshot(7, [], ["a", "b"]));
  await desk.settle();
  expect(cleared(desk)).toEqual([]);
  const again = record("a", [A, C], { epoch: 2 });
  const moved = { kind: "delete", network: "204", id: "b", revision: 9 } as const;
  store.say(changes(9, moved, { kind: "put", record: again, revision: 9 }));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 2`, `${C} a 2`]);
  expect([...cleared(desk)].sort()).toEqual([A, B]);
});

test("an address that another record has by now is not kept for a damaged one", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, restored });
  store.say(snapshot(7, [{ record: record("c", [A]), revision: 6 }], ["a"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} c 1`, `${B} a 1`]);
  store.say(changes(8, { kind: "delete", network: "204", id: "a", revision: 8 }));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} c 1`]);
});

test("a record whose user data cannot be opened is answered as before too", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, restored });
  const unreadable = new StoreError("STORE_UNREADABLE", "damaged");
  const userData = { length: 3, hash: "h", read: () => Promise.reject(unreadable) };
  store.say(snapshot(7, [{ record: { ...record("a", [A, B]), userData }, revision: 6 }]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} a 1`]);
  expect(desk.held()).toEqual(["STORE_RECORD_DAMAGED"]);
});

test("a running router keeps it too when it reads everything anew", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(3, [{ record: record("a", [A]), revision: 3 }]));
  await desk.settle();
  store.say(snapshot(4, [], ["a"]));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`]);
});
