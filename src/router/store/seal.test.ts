/** A record that an operator has sealed: what its guest is told, and what comes back with it. */

import { expect, test } from "bun:test";
import { parseIp } from "../../model/address.ts";
import type { Body } from "../../model/binding.ts";
import { StoreError } from "../../model/errors.ts";
import { type InstanceRecord, sealed, toBindings, unsealed } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { MemoryStore } from "../../store/memory.ts";
import { changeOf } from "../directory.ts";
import { type Desk, openDesk, scripted } from "./testing.ts";

const A = parseIp("10.1.1.5");
const NAME = { network: "204", id: "a" };
const USER_DATA = new TextEncoder().encode("#!/bin/sh\n");
const PASSWORD = { id: "s-1", password: "fN7xvQ2p" };

function record(more: object = {}): InstanceRecord {
  return parseRecord({
    ...{ ...NAME, name: "a", publicKeys: [], incarnation: 1, epoch: 1 },
    nics: [{ addresses: [A], default: true }],
    keys: [["instance-id", "a"]],
    ...{ userData: USER_DATA, password: PASSWORD },
    ...more,
  });
}

/** `user data, password`, as its guest gets them; and whether the binding says that it is sealed. */
function told(desk: Desk): readonly unknown[] {
  const entry = desk.directory.find(A);
  if (entry?.kind !== "bound") return [];
  const { userData } = entry.document;
  const text = userData instanceof Uint8Array ? new TextDecoder().decode(userData) : userData;
  return [text, desk.passwords.pending("204", A, entry.epoch), entry.sealed];
}
const OPEN = ["#!/bin/sh\n", PASSWORD.password, undefined];
const CLOSED = [undefined, undefined, true];

async function begin() {
  const store = new MemoryStore();
  const own = { follow: store.follow.bind(store), ack: store.ack.bind(store) };
  const open = async () => ({ ...own, id: store.id, close: async () => {} }) as never;
  const change = async (how: (record: InstanceRecord) => InstanceRecord): Promise<void> => {
    const held = (await store.get(NAME))?.record;
    if (held !== undefined) await store.put(how(held));
  };
  const waits = async () => (await store.get(NAME))?.record.password?.id;
  await store.put(record());
  return { store, open, change, waits };
}

test("user data and password go with the seal, and come back without it", async () => {
  const { open, change, waits } = await begin();
  await using desk = openDesk({ open });
  await desk.settle();
  expect(told(desk)).toEqual(OPEN);
  for (const opened of [unsealed, (one: InstanceRecord) => ({ ...one, incarnation: 2 })]) {
    await change(sealed);
    await desk.settle();
    expect(told(desk)).toEqual(CLOSED);
    expect([desk.key(A, "instance-id"), await waits()]).toEqual(["a", PASSWORD.id]);
    await change(opened);
    await desk.settle();
    expect(told(desk)).toEqual(OPEN);
    expect(await waits()).toBe(PASSWORD.id);
  }
  expect(desk.passwords.send("204", A, 1)).toBe(PASSWORD.password);
  await desk.passwords.acknowledge("204", A, 1);
  await desk.settle();
  expect(await waits()).toBeUndefined();
});

test("what a guest has acknowledged is not offered again when it is opened", async () => {
  const { open, change, waits } = await begin();
  await using desk = openDesk({ open });
  await desk.settle();
  desk.passwords.send("204", A, 1);
  // The store hears of it while it is sealed.
  const acknowledged = desk.passwords.acknowledge("204", A, 1);
  await change(sealed);
  await acknowledged;
  await desk.settle();
  expect(await waits()).toBeUndefined();
  await change(unsealed);
  await desk.settle();
  expect(told(desk)).toEqual([OPEN[0], undefined, undefined]);
});

test("a password that comes while it is sealed waits until it is opened", async () => {
  const { open, change, waits } = await begin();
  await change(sealed);
  await using desk = openDesk({ open });
  await desk.settle();
  expect(told(desk)).toEqual(CLOSED);
  const other = { id: "s-2", password: "another" };
  await change((one) => ({ ...one, password: other, userData: USER_DATA }));
  await desk.settle();
  expect([told(desk), await waits()]).toEqual([CLOSED, "s-2"]);
  await change(unsealed);
  await desk.settle();
  expect(told(desk)).toEqual([OPEN[0], "another", undefined]);
});

test("a router that starts without the store keeps it sealed", async () => {
  const { open, change } = await begin();
  const former = openDesk({ open });
  await former.settle();
  await change(sealed);
  await former.settle();
  await former[Symbol.asyncDispose]();
  const restored = [...former.directory.entries()].map(changeOf);
  const epochs = [...former.passwords.entries()];
  const missing = new StoreError("STORE_MISSING", "nobody has made it");
  const gone = scripted();
  gone.broken = missing;
  await using desk = openDesk({ ...gone, restored, epochs });
  desk.passwords.restore(epochs);
  await expect(desk.settle()).rejects.toThrow("nobody has made it");
  expect(told(desk)).toEqual(CLOSED);
  // What was closed while no router ran is closed with the first look.
  const [before] = toBindings(record(), "sqlite:/s");
  await using late = openDesk({ open, restored: [{ kind: "put", binding: before as never }] });
  expect(told(late)).toEqual([OPEN[0], undefined, undefined]);
  const held = { network: "204", address: A, epoch: 1, pending: PASSWORD.password, via: "store" };
  late.passwords.restore([{ ...held, acknowledged: [] }]);
  late.source.restore([], [held]);
  expect(told(late)).toEqual(OPEN);
  await late.settle();
  expect(told(late)).toEqual(CLOSED);
});

test("user data of a sealed record is not read, so damage to it keeps nothing open", async () => {
  const script = scripted();
  await using desk = openDesk(script);
  const say = (one: InstanceRecord, revision: number): void =>
    script.say({ kind: "changes", changes: [{ kind: "put", record: one, revision }], revision });
  script.say({ kind: "snapshot", records: [], networks: [], revision: 0 });
  say(record(), 1);
  await desk.settle();
  expect(told(desk)).toEqual(OPEN);
  const read = () => Promise.reject(new StoreError("STORE_UNREADABLE", "damaged"));
  const userData: Body = { length: 9000, hash: "h", read };
  say(sealed(record({ userData })), 2);
  await desk.settle();
  expect([told(desk), desk.held()]).toEqual([CLOSED, []]);
});
