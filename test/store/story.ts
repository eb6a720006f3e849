/**
 * A story of writes and what a store answers to each, printed: equal on every runtime.
 *
 * Usage: story.ts FOLDER, or story.ts memory
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Body } from "../../src/model/binding.ts";
import { type InstanceRecord, type StoredRecord, userDataOf } from "../../src/model/record.ts";
import { parseRecord } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openStore } from "../../src/store/index.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";

const STEPS = 300;
const RECORDS = 6;

const [, , place = ""] = process.argv;
const say = (what: unknown) => console.log(JSON.stringify(what));

const options: StoreOptions = {
  sealKey: new Uint8Array(32).fill(7),
  conditions: new Conditions(() => 0),
  now: () => 0,
  role: "writer",
};

/** Numbers that look random and are the same each time (a linear congruential generator). */
function* numbers(): Generator<number, never> {
  for (let state = 1; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    yield state >> 8;
  }
}
const chance = numbers();
const pick = (below: number): number => chance.next().value % below;

async function told({ record, revision }: StoredRecord): Promise<object> {
  const bytes = await userDataOf(record);
  return { ...record, userData: bytes && Buffer.from(bytes).toString("hex").slice(-20), revision };
}

/** One of three contents, the last of which is of two parts. */
const content = (which: number): Uint8Array => new Uint8Array(600_000 * which + 1).fill(which);
const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function stepOfPayload(store: Store, which: number): Promise<unknown> {
  const sha256 = hashOf(content(which));
  if (pick(2) === 0) return store.putPayload(content(which), "file");
  if (pick(2) === 0) return store.deletePayload(sha256);
  const parts = (await store.payload(sha256))?.parts ?? [];
  const read = async (part: Body) => hashOf(part instanceof Uint8Array ? part : await part.read());
  return [await Promise.all(parts.map(read)), await store.payloads()];
}

async function step(store: Store): Promise<unknown> {
  if (pick(5) === 0) return stepOfPayload(store, pick(3));
  const id = `i-${pick(RECORDS)}`;
  const name = { network: "204", id };
  const secretId = `s-${pick(3)}`;
  const options = pick(4) === 0 ? { expect: pick(20) } : {};
  const kind = pick(8);
  if (kind === 0) return store.delete(name, options);
  if (kind === 1) {
    const epoch = (await store.get(name))?.record.epoch ?? 1;
    return store.ack({ network: "204", instance: id, epoch, secretId });
  }
  const given: InstanceRecord = parseRecord({
    ...name,
    name: `web-${pick(3)}`,
    nics: [{ addresses: [`10.1.1.${pick(8)}`], default: true }],
    keys: [["own", `wert-${pick(3)}-ü`]],
    userData: new Uint8Array(pick(3) * 2000).fill(pick(256)),
    publicKeys: [],
    payloads: [0, 1, 2].flatMap((which) => {
      const { length: bytes } = content(which);
      return pick(6) === 0 ? [{ sha256: hashOf(content(which)), bytes }] : [];
    }),
    ...(pick(2) === 0 && { password: { id: secretId, password: "pw" } }),
    ...(pick(3) === 0 && { sealedIncarnation: 1 }),
    incarnation: 1,
    epoch: 1,
  });
  return told(await store.put(given, options));
}

const open = (): Promise<Store> => openStore(`sqlite:${join(place, "store.sqlite")}`, options);
let store: Store = place === "memory" ? new MemoryStore() : await open();
for (let number = 0; number < STEPS; number++) {
  say(
    await step(store).catch((error: unknown) => [(error as { code?: string }).code, String(error)]),
  );
  if (number !== STEPS / 2 || place === "memory") continue;
  await store.close();
  store = await open();
}
const { records, revision } = await store.list();
say([revision, await Promise.all(records.map(told))]);
const end = new AbortController();
for await (const element of store.follow(end.signal)) {
  if (element.kind === "snapshot") {
    const records = [...element.records].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
    say(await Promise.all(records.map(told)));
  }
  end.abort();
}
await store.close();
