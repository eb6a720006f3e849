import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parseIp, parseMac } from "../model/address.ts";
import type { Binding } from "../model/binding.ts";
import { StoreError } from "../model/errors.ts";
import { toBindings } from "../model/record.ts";
import { Conditions } from "../observe/conditions.ts";
import { openDatabag } from "../source/databag/databag.ts";
import { DB, Lab, SIGNAL, WEB } from "../source/file/testing.ts";
import { MemoryStore } from "../store/memory.ts";
import { recordOf } from "./bindings.ts";
import { CONFIRM_MS } from "./shrink.ts";
import { SourceLook } from "./source-look.ts";
import { kept } from "./testing.ts";
import { Troubles } from "./troubles.ts";

/** Each has the other's address. */
const SWAPPED = WEB.replace("0.11", "0.12") + DB.replace("0.12", "0.11");
const SEAL_KEY = new Uint8Array(32).fill(7);

async function lookAt(lab: Lab, store = new MemoryStore()): Promise<SourceLook> {
  const { conditions } = lab;
  const troubles = new Troubles(conditions, "the file");
  const now = (): number => lab.clock;
  const source = await lab.open();
  return new SourceLook({ source, store, conditions, troubles, sealKey: SEAL_KEY, now });
}

/** Each record without its network. */
async function told(store: MemoryStore): Promise<(string | undefined)[]> {
  return (await kept(store)).map((line) => line.split("/")[1]);
}

test("a file's instances become records, and only differences are written", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}${DB}`);
  const look = await lookAt(lab, store);
  expect(await look.all(SIGNAL)).toEqual({ instances: 2, written: 2, deleted: 0 });
  expect(await told(store)).toEqual(["i-db db-01 127.0.0.12", "i-web web-01 127.0.0.11"]);
  lab.write(`instances:${WEB.replace("web-01", "web-02")}${DB}`);
  expect(await look.all(SIGNAL)).toEqual({ instances: 2, written: 1, deleted: 0 });
  lab.write(`instances:${DB}`);
  expect(await look.all(SIGNAL)).toEqual({ instances: 1, written: 0, deleted: 1 });
  expect(await look.all(SIGNAL)).toEqual({ instances: 1, written: 0, deleted: 0 });
  // Another process has nothing to write.
  expect(await (await lookAt(lab, store)).all(SIGNAL)).toMatchObject({ written: 0, deleted: 0 });
});

test("an address that passes on is with one record at a time", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}${DB}`);
  const look = await lookAt(lab, store);
  await look.all(SIGNAL);
  lab.write(`instances:${SWAPPED}`);
  await look.all(SIGNAL);
  expect(await told(store)).toEqual(["i-db db-01 127.0.0.11", "i-web web-01 127.0.0.12"]);
  expect(lab.raised()).toEqual([]);
});

test("a swap that the store did not take whole is written by the next look", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}${DB}`);
  const look = await lookAt(lab, store);
  await look.all(SIGNAL);
  lab.write(`instances:${SWAPPED}`);
  const list = store.list.bind(store);
  store.list = async () => {
    store.list = list;
    throw new StoreError("STORE_LOCKED", "another program writes");
  };
  await expect(look.all(SIGNAL)).rejects.toThrow("another program writes");
  await look.all(SIGNAL);
  expect(await told(store)).toEqual(["i-db db-01 127.0.0.11", "i-web web-01 127.0.0.12"]);
});

test("what is doubted during a look is asked about by the next one", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}`);
  const look = await lookAt(lab, store);
  await look.all(SIGNAL);
  lab.write(`instances:${WEB.replace("web-01", "web-02")}`);
  const put = store.put.bind(store);
  store.put = async (record, options) => {
    store.put = put;
    const stored = await put(record, options);
    await put({ ...stored.record, name: "somebody else's" });
    look.doubt();
    return stored;
  };
  await look.all(SIGNAL);
  await look.all(SIGNAL);
  expect(await told(store)).toEqual(["i-web web-02 127.0.0.11"]);
});

test("a password of the file waits once: acknowledged, it does not come back", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}    password: fN7xvQ2p\n`);
  await (await lookAt(lab, store)).all(SIGNAL);
  const waiting = async () => (await store.list()).records[0]?.record;
  const record = await waiting();
  expect(record?.password?.password).toBe("fN7xvQ2p");
  expect(record?.password?.id).not.toContain("fN7xvQ2p");
  const { network = "", id: instance = "", epoch = 0, password } = record ?? {};
  await store.ack({ network, instance, epoch, secretId: password?.id ?? "" });
  await (await lookAt(lab, store)).all(SIGNAL);
  expect((await waiting())?.password).toBeUndefined();
  lab.write(`instances:${WEB}    password: another1\n`);
  const look = await lookAt(lab, store);
  await look.all(SIGNAL);
  expect((await waiting())?.password?.password).toBe("another1");
  // Taken out of the file, it waits no longer.
  lab.write(`instances:${WEB}`);
  await look.all(SIGNAL);
  expect((await waiting())?.password).toBeUndefined();
});

test("a password that somebody else put there stays", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}`);
  const look = await lookAt(lab, store);
  await look.all(SIGNAL);
  const [first] = (await store.list()).records;
  if (first === undefined) throw new Error("there is no record");
  await store.put({ ...first.record, password: { id: "p-1", password: "fN7xvQ2p" } });
  lab.write(`instances:${WEB}    zone: z\n`);
  await look.all(SIGNAL);
  expect((await store.list()).records[0]?.record.password?.id).toBe("p-1");
});

test("records that the source no longer has are doubted at a start, then go", async () => {
  await using lab = new Lab();
  const store = new MemoryStore();
  lab.write(`instances:${WEB}${DB}`);
  await (await lookAt(lab, store)).all(SIGNAL);
  lab.write("instances: []");
  const look = await lookAt(lab, store);
  expect(await look.all(SIGNAL)).toMatchObject({ deleted: 0, againMs: CONFIRM_MS });
  expect(lab.raised()).toEqual(["INSTANCES_VANISHED 2 instances are kept"]);
  lab.clock += CONFIRM_MS;
  expect(await look.all(SIGNAL)).toMatchObject({ deleted: 2 });
  expect(lab.raised()).toEqual([]);
});

test("databags become records with the same answers", async () => {
  const conditions = new Conditions(() => 0);
  const store = new MemoryStore();
  const place = "fixtures/cloudstack/vpc/etc-cloudstack";
  const context = { conditions, now: () => 0, firstStart: true };
  await using source = await openDatabag(place, context);
  const troubles = new Troubles(conditions, "the databags");
  const ports = { source, store, conditions, troubles, sealKey: SEAL_KEY, now: () => 0 };
  await new SourceLook(ports).all(SIGNAL);
  const bag = JSON.parse(readFileSync(`${place}/vmdata.json`, "utf8")) as Record<string, unknown>;
  const { records } = await store.list();
  const answered = records.flatMap(({ record }) => toBindings(record, "store"));
  expect(answered.length).toBeGreaterThan(0);
  for (const { address, keys } of answered) {
    const said = (bag[address] as [string, string, string | null][])
      .filter(([folder, , value]) => folder === "metadata" && value !== "")
      .map(([, name, value]) => [name, value]);
    const served = keys.filter(([, value]) => value !== "");
    expect(served.map(([name, value]) => [name, value])).toEqual(said as [string, string][]);
  }
  expect((await store.networks()).length).toBeGreaterThan(0);
});

test("whatever differs between an instance's bindings, each keeps its keys", () => {
  const names = ["local-ipv4", "public-ipv4", "instance-id", "tier"];
  const keys = fc.uniqueArray(
    fc.tuple(fc.constantFrom(...names), fc.constantFrom("a", "b", null)),
    { selector: ([name]) => name },
  );
  const bindings = fc.array(fc.tuple(keys, fc.constantFrom(1, 2)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(bindings, (given) => {
      const all = given.map(
        ([keys, mac], at): Binding => ({
          network: "204",
          address: parseIp(`10.1.1.${at + 1}`),
          mac: parseMac(`02:00:00:00:00:0${mac}`),
          epoch: 1,
          instance: "i-1",
          name: "web",
          keys,
          origin: { kind: "file", place: "lab.yaml" },
        }),
      );
      const made = toBindings(recordOf(all), "store");
      for (const { address, keys, mac } of all) {
        const found = made.find((one) => one.address === address);
        const served = (found?.keys ?? []).filter(([, value]) => value !== "");
        expect(new Map(served)).toEqual(new Map(keys));
        expect(found?.mac).toBe(mac as NonNullable<typeof mac>);
      }
    }),
  );
});
