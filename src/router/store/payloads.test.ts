/** Payloads of a store's records: on the router's disk before a guest is shown them, or not shown. */

import { expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseIp } from "../../model/address.ts";
import type { Body, StoredBody } from "../../model/binding.ts";
import { StoreError } from "../../model/errors.ts";
import type { FeedElement } from "../../model/feed.ts";
import { cutIntoParts, PART_BYTES, type Payload } from "../../model/payload.ts";
import { type InstanceRecord, sealed } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { contentHash } from "../../protocol/etag.ts";
import type { Disk } from "./payloads.ts";
import { type Desk, openDesk, type Scripted, scripted } from "./testing.ts";

const [A, B] = ["10.1.1.5", "10.1.1.6"] as const;
const RETRY_MS = 20;

/** A disk in memory, with room for so many bodies. */
function openDisk(room = 100): Disk & { room: number; readonly written: string[]; clear(): void } {
  const kept = new Map<string, StoredBody>();
  const written: string[] = [];
  const disk = {
    room,
    written,
    clear: () => kept.clear(),
    keptBody: ({ hash }: { hash: string }) => kept.get(hash),
    async keepBody(bytes: Uint8Array) {
      if (kept.size >= disk.room) return undefined;
      const hash = contentHash(bytes);
      const body = { length: bytes.length, hash, read: async () => bytes };
      kept.set(hash, body);
      written.push(hash);
      return body;
    },
  };
  return disk;
}

/** One that lies in a store, with a count of how often it was read. */
function payloadOf(fill: number): Payload & { reads: number } {
  const content = new Uint8Array(PART_BYTES + 10).fill(fill);
  const parts = cutIntoParts(content).map((bytes): StoredBody => {
    const read = async () => {
      payload.reads++;
      return bytes;
    };
    return { length: bytes.length, hash: contentHash(bytes), read };
  });
  const sha256 = String(fill).repeat(64);
  const payload = { sha256, bytes: content.length, parts, reads: 0 };
  return payload;
}

function put(id: string, address: string, payloads: readonly Payload[], revision: number) {
  const record = parseRecord({
    ...{ network: "204", id, name: id, publicKeys: [], incarnation: 1, epoch: 1, payloads },
    nics: [{ addresses: [address], default: true }],
    keys: [["instance-id", id]],
  });
  return { kind: "put", record, revision } as const;
}

function changes(revision: number, ...all: readonly ReturnType<typeof put>[]): FeedElement {
  return { kind: "changes", changes: all, revision };
}

function open(store: Scripted, disk: Disk): Desk {
  return openDesk({ open: () => store.open(), disk, payloadRetryMs: RETRY_MS });
}

function shown(desk: Desk, address: string): readonly Payload[] | undefined {
  const entry = desk.directory.find(parseIp(address));
  return entry?.kind === "bound" ? (entry.document.payloads ?? []) : undefined;
}

test("they are on the disk before they are shown, once for all who have the same", async () => {
  const [store, disk, one] = [scripted(), openDisk(), payloadOf(1)];
  await using desk = open(store, disk);
  store.onPayload = () => one;
  const first = { kind: "snapshot", records: [], networks: [], revision: 0 } as const;
  store.say(first, changes(2, put("a", A, [one], 1), put("b", B, [one], 2)));
  await desk.settle();
  expect(disk.written).toEqual(one.parts.map((part) => (part as StoredBody).hash));
  expect(one.reads).toBe(2);
  const [at, other] = [shown(desk, A), shown(desk, B)];
  expect(at?.[0]?.sha256).toBe(one.sha256);
  expect(await bytesOf(at?.[0]?.parts[1] as Body)).toEqual(new Uint8Array(10).fill(1));
  expect(other?.[0]).toBe(at?.[0] as Payload); // One in memory.
  // A store that goes away takes nothing with it.
  store.fail(new StoreError("STORE_UNREADABLE", "a page is damaged"));
  await desk.settle();
  expect(shown(desk, A)).toHaveLength(1);
  expect(desk.held()).toEqual(["STORE_UNREADABLE"]);
});

test("a sealed instance is shown none, and lacks none, until it is opened", async () => {
  const [store, disk, one] = [scripted(), openDisk(), payloadOf(1)];
  await using desk = open(store, disk);
  const { record } = put("a", A, [one], 1);
  const say = (changed: InstanceRecord, revision: number): void =>
    store.say(changes(revision, { kind: "put", record: changed, revision }));
  store.say({ kind: "snapshot", records: [], networks: [], revision: 0 });
  say(sealed(record), 1);
  await desk.settle();
  expect([shown(desk, A), disk.written, one.reads]).toEqual([[], [], 0]);
  say(record, 2); // The store has it not.
  await desk.settle();
  expect([shown(desk, A), desk.held()]).toEqual([[], ["PAYLOAD_LACKING"]]);
  say(sealed(record), 3);
  await desk.settle();
  expect([shown(desk, A), desk.held()]).toEqual([[], []]);
  store.onPayload = () => one;
  say({ ...sealed(record), incarnation: 2 }, 4);
  await desk.settle();
  expect(shown(desk, A)?.[0]?.sha256).toBe(one.sha256);
  say(sealed(record), 5);
  await desk.settle();
  expect(shown(desk, A)).toEqual([]);
});

test("one that is not in the store, or not in order, is left out with a condition", async () => {
  const broken = payloadOf(3);
  const unread = async () => Promise.reject(new StoreError("STORE_UNREADABLE", "does not open"));
  const spoilt = { ...broken, parts: broken.parts.map((part) => ({ ...part, read: unread })) };
  const short = { ...payloadOf(4), bytes: 3 };
  for (const there of [undefined, spoilt as Payload, short]) {
    const [store, disk, one, other] = [scripted(), openDisk(), payloadOf(1), payloadOf(2)];
    await using desk = open(store, disk);
    store.onPayload = (sha256) => (sha256 === one.sha256 ? there : other);
    store.say(changes(1, put("a", A, [one, other], 1), put("b", B, [], 2)));
    await desk.settle();
    expect(shown(desk, A)?.map(({ sha256 }) => sha256)).toEqual([other.sha256]);
    expect(shown(desk, B)).toEqual([]);
    expect(desk.held()).toEqual(["PAYLOAD_LACKING"]);
    // The record names it no more.
    store.say(changes(3, put("a", A, [], 3)));
    await desk.settle();
    expect(desk.held()).toEqual([]);
  }
});

test("where the disk has no room it is tried again, until the record is shown whole", async () => {
  const [store, disk, one] = [scripted(), openDisk(1), payloadOf(1)];
  await using desk = open(store, disk);
  store.onPayload = () => one;
  const { record } = put("a", A, [one], 1);
  store.onGet = () => ({ record, revision: 1 });
  store.say(changes(1, put("a", A, [one], 1)));
  await desk.settle();
  expect(shown(desk, A)).toEqual([]);
  expect(desk.held()).toEqual(["PAYLOAD_LACKING"]);
  await sleep(2 * RETRY_MS);
  await desk.settle();
  expect(desk.held()).toEqual(["PAYLOAD_LACKING"]);
  disk.room = 2;
  await sleep(2 * RETRY_MS);
  await desk.settle();
  expect(shown(desk, A)).toHaveLength(1);
  expect(desk.held()).toEqual([]);
});

test("an attempt that the store breaks off is not the last one", async () => {
  const [store, disk, one] = [scripted(), openDisk(0), payloadOf(1)];
  await using desk = open(store, disk);
  store.onPayload = () => one;
  store.say(changes(1, put("a", A, [one], 1)));
  await desk.settle();
  disk.room = 2;
  store.onGet = () => {
    throw new StoreError("STORE_LOCKED", "another program writes");
  };
  await sleep(2 * RETRY_MS);
  await expect(desk.settle()).rejects.toMatchObject({ code: "STORE_LOCKED" });
  store.onGet = () => ({ record: put("a", A, [one], 1).record, revision: 1 });
  await sleep(2 * RETRY_MS);
  await desk.settle();
  expect(shown(desk, A)).toHaveLength(1);
  expect(desk.held()).toEqual([]);
});

test("with the record that lacks one, its condition goes", async () => {
  const [store, one] = [scripted(), payloadOf(1)];
  await using desk = open(store, openDisk());
  store.say(changes(1, put("a", A, [one], 1)));
  await desk.settle();
  expect(desk.held()).toEqual(["PAYLOAD_LACKING"]);
  const gone = { kind: "delete", network: "204", id: "a", revision: 2 } as const;
  store.say({ kind: "changes", changes: [gone], revision: 2 });
  await desk.settle();
  expect(desk.held()).toEqual([]);
});

test("what the disk has lost is read from the store again", async () => {
  const [store, disk, one] = [scripted(), openDisk(), payloadOf(1)];
  await using desk = open(store, disk);
  store.onPayload = () => one;
  store.onGet = () => ({ record: put("a", A, [one], 1).record, revision: 1 });
  store.say(changes(1, put("a", A, [one], 1)));
  await desk.settle();
  disk.clear();
  expect(desk.source.again(parseIp(A))).toEqual([]);
  await desk.settle();
  expect(disk.written).toHaveLength(4);
  expect(shown(desk, A)).toHaveLength(1);
});

async function bytesOf(body: Body): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body : body.read();
}
