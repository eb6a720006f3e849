import { expect, test } from "bun:test";
import type { Change } from "../../model/change.ts";
import { toBindings } from "../../model/record.ts";
import {
  A,
  B,
  C,
  changes,
  openDesk,
  put,
  record,
  replaced,
  scripted,
  snapshot,
  stored,
} from "./testing.ts";

test("a new store is filled first: what it lacks stays until nothing has come", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, refilledAfterMs: 1000, refillMsMax: 60_000 });
  store.say(snapshot(2, stored(record("a", [A]), 1), stored(record("b", [B]), 2)));
  await desk.settle();
  store.id = "second";
  store.fail(replaced());
  store.say(snapshot(1));
  await desk.settle();
  expect(store.opened()).toBe(2);
  expect(desk.answers().length).toBe(2);
  expect(desk.held()).toEqual(["STORE_REPLACED"]);
  // While it is empty, it has not been begun.
  desk.now += 30_000;
  await desk.settle();
  expect(desk.answers().length).toBe(2);
  store.say(changes(2, put(record("c", [B], { epoch: 9 }), 2)));
  await desk.settle();
  desk.now += 999;
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} c 9`]);
  desk.now += 1;
  await desk.settle();
  expect(desk.answers()).toEqual([`${B} c 9`]);
  expect(desk.held()).toEqual([]);
});

test("a new store that begins with some records keeps the others' answers as well", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, refilledAfterMs: 1000 });
  store.say(snapshot(2, stored(record("a", [A]), 1), stored(record("b", [B]), 2)));
  await desk.settle();
  store.id = "second";
  store.fail(replaced());
  // Revisions of another store say nothing: this is not the record that was at 1.
  store.say(snapshot(7, stored(record("a", [C], { epoch: 9 }), 1)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${B} b 1`, `${C} a 9`]);
  expect(desk.held()).toEqual(["STORE_REPLACED"]);
  desk.now += 1000;
  await desk.settle();
  expect(desk.answers()).toEqual([`${C} a 9`]);
});

test("while a new store is filled, an address stays with who has it there", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  store.id = "second";
  store.fail(replaced());
  store.say(snapshot(1));
  store.say(changes(2, put(record("b", [A], { epoch: 8 }), 2)));
  store.say(changes(3, put(record("a", [B], { epoch: 9 }), 3)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} b 8`, `${B} a 9`]);
  // It gives it away, and it is nobody's.
  store.say(changes(4, put(record("b", [C], { epoch: 10 }), 4)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${B} a 9`, `${C} b 10`]);
});

test("while a new store is filled, what it deletes takes nobody else's address", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  store.id = "second";
  store.fail(replaced());
  store.say(snapshot(1));
  store.say(changes(2, put(record("b", [A], { epoch: 8 }), 2)));
  // It came and went between two looks.
  store.say(changes(4, { kind: "delete", network: "204", id: "a", revision: 4 }));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} b 8`]);
});

test("a store that stays empty is believed after a while", async () => {
  const store = scripted();
  const restored: Change[] = toBindings(record("a", [A]), "sqlite:/s").map((binding) => {
    return { kind: "put", binding };
  });
  await using desk = openDesk({ ...store, restored, refilledAfterMs: 10, refillMsMax: 60_000 });
  store.say(snapshot(1));
  await desk.settle();
  expect(desk.answers().length).toBe(1);
  desk.now += 60_000;
  await desk.settle();
  expect(desk.answers()).toEqual([]);
});
