import { expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseIp } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";
import { StoreError } from "../../model/errors.ts";
import { toBindings } from "../../model/record.ts";
import {
  A,
  B,
  C,
  changes,
  NETWORKS,
  openDesk,
  put,
  record,
  replaced,
  scripted,
  snapshot,
  stored,
} from "./testing.ts";

const secret = (id: string, password: string) => ({ password: { id, password } });

/** Longer than a store is left alone that could not be opened. */
const REOPENED_MS = 700;

test("what a second snapshot lacks is gone, and what is as before is not said again", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(3, stored(record("a", [A]), 1), stored(record("b", [B, C]), 2)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} b 1`, `${C} b 1`]);
  expect(desk.source.networks()).toEqual(NETWORKS);
  desk.batches.length = 0;
  store.say(snapshot(9, stored(record("b", [C], { epoch: 1 }), 8)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${C} b 1`]);
  store.say(snapshot(10, stored(record("b", [C]), 8)));
  await desk.settle();
  expect(desk.batches.flat().map(({ kind }) => kind)).toEqual(["put", "delete", "delete"]);
});

test("one element is applied at once, ends before begins", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(2, stored(record("a", [A, B]), 1), stored(record("b", [C]), 2)));
  await desk.settle();
  desk.batches.length = 0;
  // A passes to b, and C to a, in one step; whichever comes first in it.
  const [a, b] = [record("a", [B, C], { epoch: 5 }), record("b", [A], { epoch: 6 })];
  store.say(changes(4, put(b, 3), put(a, 4)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} b 6`, `${B} a 5`, `${C} a 5`]);
  expect(desk.batches.length).toBe(1);
});

test("an address that passes on in a second snapshot stays with who has it now", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(2, stored(record("a", [A]), 1), stored(record("b", [B]), 2)));
  await desk.settle();
  const now = [record("a", [B], { epoch: 4 }), record("c", [A], { epoch: 5 })];
  store.say(snapshot(9, ...now.map((record, index) => stored(record, 7 + index))));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} c 5`, `${B} a 4`]);
});

test("what an earlier run knew is answered until the store says otherwise", async () => {
  const store = scripted();
  const restored = toBindings(record("a", [A, B]), "sqlite:/s").map(
    (binding): Change => ({ kind: "put", binding }),
  );
  await using desk = openDesk({ ...store, restored });
  expect(desk.answers().length).toBe(2);
  store.say(snapshot(9, stored(record("a", [B]), 9)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${B} a 1`]);
});

test("a password is offered once, and acknowledged until the store has taken it", async () => {
  const store = scripted();
  store.onAck = () => {
    throw new Error("busy");
  };
  await using desk = openDesk(store);
  store.say(snapshot(1, stored(record("a", [A], secret("s-1", "one")), 1)));
  await desk.settle();
  expect(desk.passwords.send("204", A, 1)).toBe("one");
  await desk.passwords.acknowledge("204", A, 1);
  // The store has not heard of it, and says it again in each way that it can.
  store.say(changes(2, put(record("a", [A, B], { ...secret("s-1", "one"), epoch: 2 }), 2)));
  const again = { kind: "secret", network: "204", id: "a", revision: 3, epoch: 2 } as const;
  store.say(changes(3, { ...again, password: { id: "s-1", password: "one" } }));
  store.say(snapshot(4, stored(record("a", [B], { ...secret("s-1", "one"), epoch: 3 }), 4)));
  await desk.settle();
  for (const address of [A, B]) {
    for (const epoch of [1, 2, 3])
      expect(desk.passwords.pending("204", address, epoch)).toBe(undefined);
  }
  store.onAck = () => true;
  await sleep(1100);
  const told = { network: "204", instance: "a", epoch: 1, secretId: "s-1" };
  expect(store.acknowledged).toEqual([told]);
  // It takes it away, and another one is another one.
  store.say(changes(5, { ...again, revision: 5, epoch: 3, password: undefined }));
  const next = { id: "s-2", password: "one" };
  store.say(changes(6, { ...again, revision: 6, epoch: 3, password: next }));
  await desk.settle();
  expect(desk.passwords.send("204", B, 3)).toBe("one");
});

test("a password that is taken back is not delivered, nor at a NIC that had it", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  const nics = (first: boolean) => [
    { addresses: [A], default: first },
    { addresses: [B], default: !first },
  ];
  store.say(snapshot(1, stored(record("a", [], { nics: nics(true), ...secret("s", "x") }), 1)));
  await desk.settle();
  expect(desk.passwords.pending("204", A, 1)).toBe("x");
  store.say(changes(2, put(record("a", [], { nics: nics(false), ...secret("s", "x") }), 2)));
  await desk.settle();
  expect(desk.passwords.pending("204", A, 1)).toBeUndefined();
  expect(desk.passwords.pending("204", B, 1)).toBe("x");
  store.say(changes(3, put(record("a", [], { nics: nics(false) }), 3)));
  await desk.settle();
  expect(desk.passwords.pending("204", B, 1)).toBeUndefined();
});

test("what a former run's ledger has and the store has not is not delivered", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, epochs: [{ network: "204", address: A, epoch: 1 }] });
  const held = { network: "204", address: A, epoch: 1, pending: "old", via: "store" };
  desk.passwords.restore([{ ...held, acknowledged: [] }]);
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  expect(desk.passwords.pending("204", A, 1)).toBeUndefined();
});

test("a store that was set aside while it could not be read is another one", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  store.fail(new StoreError("STORE_UNREADABLE", "a page is damaged"));
  store.id = "second";
  // By chance at the same revision.
  store.say(snapshot(1, stored(record("a", [B], { epoch: 8 }), 1)));
  await sleep(REOPENED_MS);
  await desk.settle();
  expect(desk.answers()).toEqual([`${B} a 8`]);
  expect(store.opened()).toBe(2);
});

test("one that was away for a while is the same, and what went meanwhile is gone", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(2, stored(record("a", [A]), 1), stored(record("b", [B]), 2)));
  await desk.settle();
  store.fail(replaced()); // The file was moved, and moved back.
  store.say(snapshot(3, stored(record("a", [A]), 1)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`]);
  expect(desk.held()).toEqual([]);
});

test("a store that goes back to an earlier revision is another one", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(9, stored(record("a", [A]), 9)));
  store.say(changes(4), snapshot(4, stored(record("a", [A], { epoch: 3 }), 4)));
  await desk.settle();
  expect(store.opened()).toBe(2);
  expect(desk.answers()).toEqual([`${A} a 3`]);
});

test("at a first start a store may still be made, and nothing is wrong until it takes too long", async () => {
  const store = scripted();
  store.broken = new StoreError("STORE_MISSING", "nobody has made it");
  {
    await using desk = openDesk({ ...store, patienceMs: 60_000 });
    const looked = desk.source.poll(new AbortController().signal, () => {});
    await sleep(REOPENED_MS);
    expect([desk.held(), await Promise.race([looked, "waits"])]).toEqual([[], "waits"]);
    store.broken = undefined;
    store.say(snapshot(1, stored(record("a", [A]), 1)));
    await looked;
    expect(desk.held()).toEqual([]);
    // Once it was there, or something else is wrong, it is said at once.
    store.broken = new StoreError("STORE_KEY", "another key");
    store.fail(new StoreError("STORE_UNREADABLE", "a page is damaged"));
    await sleep(REOPENED_MS);
    store.broken = new StoreError("STORE_MISSING", "nobody has made it");
    await sleep(REOPENED_MS);
    expect(desk.held()).toEqual(["STORE_MISSING"]);
  }
  await using desk = openDesk({ ...store, patienceMs: 200 });
  await expect(desk.settle()).rejects.toThrow("nobody has made it");
  expect(desk.held()).toEqual(["STORE_MISSING"]);
});

test("whatever is wrong with a store is said, and is over when it can be read", async () => {
  const store = scripted();
  store.broken = new StoreError("STORE_MISSING", "nobody has made it");
  await using desk = openDesk(store);
  await expect(desk.settle()).rejects.toThrow("nobody has made it");
  expect(desk.held()).toEqual(["STORE_MISSING"]);
  for (const [error, code] of [
    [new StoreError("STORE_KEY", "another key"), "STORE_KEY"],
    [new StoreError("STORE_LOCKED", "busy"), "STORE_UNREADABLE"],
    [new Error("what nobody foresaw"), "STORE_UNREADABLE"],
  ] as const) {
    store.broken = error;
    await sleep(REOPENED_MS);
    expect(desk.held()).toEqual([code]);
  }
  store.broken = undefined;
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await sleep(REOPENED_MS);
  await desk.settle();
  expect(desk.held()).toEqual([]);
  store.fail(new StoreError("STORE_UNREADABLE", "a page is damaged"));
  await desk.settle();
  expect(desk.held()).toEqual(["STORE_UNREADABLE"]);
  expect(desk.answers()).toEqual([`${A} a 1`]);
});

test("user data is read before it is answered; one that was replaced, as it is now", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  const body = (read: () => Promise<Uint8Array>) => ({ length: 3, hash: "h", read });
  const gone = body(() => Promise.reject(new StoreError("STORE_BODY_GONE", "replaced")));
  const there = body(async () => new TextEncoder().encode("new"));
  const damaged = body(() => Promise.reject(new StoreError("STORE_UNREADABLE", "damaged")));
  const at = (address: string): unknown => {
    const entry = desk.directory.find(address);
    return entry?.kind === "bound" ? entry.document.userData : undefined;
  };
  store.onGet = (id) => stored({ ...record(id, [A]), userData: there }, 2);
  store.say(snapshot(1, stored({ ...record("a", [A]), userData: gone }, 1)));
  await desk.settle();
  expect(at(A)).toEqual(new TextEncoder().encode("new"));
  // One that does not open leaves its record as it was, and the others go on.
  const b = { ...record("b", [B]), userData: there };
  store.say(changes(4, put({ ...record("a", [A]), userData: damaged }, 3), put(b, 4)));
  await desk.settle();
  expect([at(A), at(B)].map(String)).toEqual(["110,101,119", "110,101,119"]);
  expect(desk.held()).toEqual(["STORE_RECORD_DAMAGED"]);
  // The router's disk has lost it.
  expect(desk.source.again(B)).toEqual([]);
  store.onGet = () => {
    throw new StoreError("STORE_CLOSED", "it is being replaced");
  };
  await expect(desk.settle()).rejects.toThrow("it is being replaced");
  store.onGet = (id) => stored(record(id, [B]), 4);
  await desk.settle();
  expect(at(B)).toBeUndefined();
});

test("the router's own addresses are those of this machine within a network's range", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  expect(desk.source.endpoints()).toEqual([]);
  const networks = [{ id: "lo", cidrs: ["127.0.0.0/24"] }, ...NETWORKS];
  store.say({ kind: "changes", changes: [], networks, revision: 1 });
  await desk.settle();
  expect(desk.source.endpoints()).toEqual([{ address: parseIp("127.0.0.1"), network: "lo" }]);
});

test("what cannot be put in force now comes again, with all that came with it", async () => {
  const store = scripted();
  await using desk = openDesk(store);
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  const read = () => Promise.reject(new StoreError("STORE_UNWRITABLE", "no such disk"));
  const userData = { length: 3, hash: "h", read };
  const b = record("b", [B]);
  store.say(changes(3, put({ ...record("c", [C]), userData }, 2), put(b, 3)));
  await desk.settle();
  expect(desk.held()).toEqual(["STORE_UNREADABLE"]);
  expect(desk.answers()).toEqual([`${A} a 1`]);
  store.say(snapshot(4, stored(record("a", [A]), 1), stored(b, 3)));
  await sleep(REOPENED_MS);
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} b 1`]);
});

test("what a busy store says next waits a moment, so that it comes together", async () => {
  const store = scripted();
  await using desk = openDesk({ ...store, elementsMsMin: 200 });
  store.say(snapshot(1, stored(record("a", [A]), 1)));
  await desk.settle();
  store.say(changes(2, put(record("b", [B]), 2)));
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`]);
  await sleep(250);
  await desk.settle();
  expect(desk.answers()).toEqual([`${A} a 1`, `${B} b 1`]);
});
