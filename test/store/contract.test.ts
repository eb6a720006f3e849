/** What every store promises, on each of them. */

import { expect, test } from "bun:test";
import { StoreConflictError } from "../../src/model/errors.ts";
import {
  type InstanceRecord,
  isSealed,
  type StoredRecord,
  sealed,
  unsealed,
} from "../../src/model/record.ts";
import { COUNT_MAX } from "../../src/model/record-limits.ts";
import { PAGE_RECORDS_MAX } from "../../src/store/limits.ts";
import type { Store } from "../../src/store/store.ts";
import { keyOf, type Listener, listen, nic, record, STORES, scratch, whole } from "./samples.ts";

const NAME = { network: "204", id: "i-1" };
const PASSWORD = { id: "s-1", password: "fN7xvQ2p" };
const ACK = { network: "204", instance: "i-1", secretId: "s-1" };

for (const [name, open] of Object.entries(STORES)) {
  const on = (what: string, run: (store: Store) => Promise<void>): void =>
    test(`${name}: ${what}`, async () => {
      using folder = scratch();
      await using store = await open(folder.path);
      await run(store);
    });

  on("each has an id of its own", async (store) => {
    using folder = scratch();
    await using other = await open(folder.path);
    expect(store.id).toMatch(/^[0-9a-f-]{32,36}$/);
    expect(other.id).not.toBe(store.id);
  });

  on("what is put is got again, whole", async (store) => {
    for (const length of [undefined, 0, 1, 5000, 1024 * 1024]) {
      const userData = length === undefined ? undefined : new Uint8Array(length).fill(0xfe);
      const put = await store.put(
        record({ userData, zone: "z", password: PASSWORD, publicKeys: ["k"], keys: [["a", null]] }),
      );
      const got = await store.get(NAME);
      expect(got?.revision).toBe(put.revision);
      expect(await whole(got?.record as InstanceRecord)).toEqual(await whole(put.record));
      expect((await whole(put.record)) as { userData?: Buffer }).toMatchObject(
        userData === undefined ? {} : { userData: Buffer.from(userData) },
      );
    }
    expect(await store.get({ network: "205", id: "i-1" })).toBeUndefined();
  });

  on("documents are kept beside the records, by kind, all or none", async (store) => {
    await store.putDocuments("pair", [
      ["b", { n: 1 }],
      ["a", "text"],
    ]);
    await store.putDocuments("disk", [["a", null]]);
    expect([...(await store.documents("pair"))]).toEqual([
      ["a", "text"],
      ["b", { n: 1 }],
    ]);
    expect([...(await store.documents("disk"))]).toEqual([["a", null]]);
    const half = store.putDocuments("pair", [
      ["c", 1],
      ["", 2],
    ]);
    await expect(half).rejects.toMatchObject({ code: "RECORD_INVALID" });
    await store.putDocuments("pair", [
      ["a", undefined],
      ["b", { n: 2 }],
    ]);
    expect([...(await store.documents("pair"))]).toEqual([["b", { n: 2 }]]);
    expect([...(await store.documents("none"))]).toEqual([]);
    expect((await store.list()).revision).toBe(0);
  });

  on("a record that is malformed is refused, and nothing is kept", async (store) => {
    const wrong = { ...record(), epoch: 0 };
    await expect(store.put(wrong)).rejects.toMatchObject({ code: "RECORD_INVALID" });
    expect((await store.list()).records).toEqual([]);
  });

  on("revisions rise, and what is kept already is not written again", async (store) => {
    const first = await store.put(record());
    expect(first.revision).toBe(1);
    expect((await store.put(record())).revision).toBe(1);
    expect((await store.put(record({ name: "web-02" }))).revision).toBe(2);
    const big = record({ name: "web-02", userData: new Uint8Array(9000) });
    expect((await store.put(big)).revision).toBe(3);
    expect((await store.put(big)).revision).toBe(3);
    // Also as the store itself answers it, with its user data in the store.
    const got = await store.get(NAME);
    expect((await store.put(got?.record as InstanceRecord)).revision).toBe(3);
    expect((await store.put({ ...(got?.record as InstanceRecord), name: "n" })).revision).toBe(4);
    expect(await whole((await store.get(NAME))?.record as InstanceRecord)).toMatchObject({
      userData: Buffer.alloc(9000),
    });
  });

  on("user data that another record has is taken from there", async (store) => {
    await store.put(record({ userData: new Uint8Array(9000).fill(3) }));
    const { userData } = (await store.get(NAME))?.record ?? {};
    await store.put(record({ id: "i-2", nics: [], userData }));
    await store.delete(NAME);
    const other = (await store.get({ ...NAME, id: "i-2" }))?.record as InstanceRecord;
    expect(await whole(other)).toMatchObject({ userData: Buffer.alloc(9000, 3) });
  });

  on("a write that expects another revision is a conflict that names both", async (store) => {
    const check = async (write: Promise<unknown>, expected: number, actual: number) => {
      const error = await write.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreConflictError);
      expect(error).toMatchObject({ code: "STORE_CONFLICT", expected, actual });
    };
    await check(store.put(record(), { expect: 4 }), 4, 0);
    await check(store.delete(NAME, { expect: 4 }), 4, 0);
    await store.put(record(), { expect: 0 });
    await check(store.put(record({ name: "n" }), { expect: 0 }), 0, 1);
    await store.put(record({ name: "n" }), { expect: 1 });
    await check(store.put(record(), { expect: 1 }), 1, 2);
    await check(store.delete(NAME, { expect: 1 }), 1, 2);
    expect(await store.delete(NAME, { expect: 2 })).toBe(3);
    expect(await store.delete(NAME)).toBeUndefined();
    await store.put(record(), { expect: 0 });
  });

  on("of several that expect the same revision, one wins", async (store) => {
    const writes = Array.from({ length: 10 }, (_, index) =>
      store.put(record({ name: `n-${index}` }), { expect: 0 }),
    );
    const ended = await Promise.allSettled(writes);
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  on("an address is with one record of its network at a time", async (store) => {
    await store.put(record({ nics: [nic("10.1.1.1", "fd00::1")] }));
    const other = record({ id: "i-2", nics: [nic("10.1.1.2", "fd00::1")] });
    await expect(store.put(other)).rejects.toMatchObject({
      code: "STORE_ADDRESS_TAKEN",
      message: expect.stringContaining("i-1"),
    });
    expect(await store.get({ ...NAME, id: "i-2" })).toBeUndefined();
    await store.put({ ...other, network: "205" });
    await store.put(record({ nics: [nic("10.1.1.1")] }));
    await store.put(other);
    await store.delete(NAME);
    await store.put(record({ id: "i-3", nics: [nic("10.1.1.1")] }));
  });

  on("no epoch is above the highest one, and a record that begins none is kept", async (store) => {
    const last = await store.put(record({ epoch: COUNT_MAX }));
    expect(last.record.epoch).toBe(COUNT_MAX);
    const refused = (put: () => unknown) =>
      expect((async () => put())()).rejects.toMatchObject({ code: "RECORD_INVALID" });
    await refused(() => store.put({ ...record(), epoch: COUNT_MAX + 1 }));
    await store.put(record({ id: "i-2", nics: [nic("10.1.1.2")] }));
    await store.delete(last.record);
    await refused(() => store.put(record({ id: "i-3", nics: [nic("10.1.1.3")] })));
    const kept = { id: "i-2", name: "n", nics: [nic("10.1.1.2")] };
    expect((await store.put(record(kept))).record.name).toBe("n");
  });

  on("no address has an epoch twice, whoever has it", async (store) => {
    const epoch = async (changed: object) => (await store.put(record(changed))).record.epoch;
    const first = await epoch({});
    expect(await epoch({ name: "n" })).toBe(first);
    await store.delete(NAME);
    const second = await epoch({ id: "i-2" });
    expect(second).toBeGreaterThan(first);
    expect(await epoch({ id: "i-2", epoch: 1000 })).toBe(1000);
    expect(await epoch({ id: "i-2", epoch: 5 })).toBe(1000);
    await store.put(record({ id: "i-2", nics: [] }));
    const third = await epoch({ id: "i-3" });
    expect(third).toBeGreaterThan(1000);
    // One that gains an address goes on above all that it may have had.
    const gained = await epoch({ id: "i-2", nics: [nic("10.1.1.9")] });
    expect(gained).toBeGreaterThan(1000);
  });

  on("an acknowledged password is gone for good", async (store) => {
    const { record: kept } = await store.put(record({ password: PASSWORD }));
    const ack = (changed: object) =>
      store.ack({
        network: "204",
        instance: "i-1",
        epoch: kept.epoch,
        secretId: "s-1",
        ...changed,
      });
    expect(await ack({ secretId: "s-2" })).toBe(false);
    expect(await ack({ instance: "i-2" })).toBe(false);
    expect(await ack({ epoch: kept.epoch + 1 })).toBe(false);
    expect((await store.get(NAME))?.record.password).toEqual(PASSWORD);
    expect(await ack({})).toBe(true);
    const { record: after, revision = 0 } = (await store.get(NAME)) ?? {};
    expect(after?.password).toBeUndefined();
    expect(await ack({})).toBe(true);
    expect((await store.get(NAME))?.revision).toBe(revision);
    // A writer that has not heard of it does not bring it back, another password comes.
    const again = await store.put(record({ name: "n", password: PASSWORD }));
    expect(again.record.password).toBeUndefined();
    const other = { id: "s-2", password: "other" };
    expect((await store.put(record({ password: other }))).record.password).toEqual(other);
    expect(await ack({})).toBe(true);
    expect((await store.get(NAME))?.record.password).toEqual(other);
    expect(await ack({ secretId: "s-2" })).toBe(true);
    expect((await store.put(record({ password: PASSWORD }))).record.password).toBeUndefined();
  });

  on("a listing comes in pages, in order, of all networks or one", async (store) => {
    const names: string[] = [];
    for (const network of ["205", "204"]) {
      for (let index = 0; index < 7; index++) {
        const id = `i-${index}`;
        await store.put(record({ network, id, nics: [nic(`10.1.1.${index}`)] }));
        names.push(`${network} ${id}`);
      }
    }
    const read = async (network: string | undefined, limit: number) => {
      const found: string[] = [];
      let next: { network: string; id: string } | undefined;
      do {
        const page = await store.list({
          limit,
          ...(network !== undefined && { network }),
          ...(next !== undefined && { after: next }),
        });
        expect(page.records.length).toBeLessThanOrEqual(limit);
        expect(page.revision).toBe(14);
        found.push(...page.records.map(({ record }) => `${record.network} ${record.id}`));
        next = page.next;
      } while (next !== undefined);
      return found;
    };
    for (const limit of [1, 3, 7, 14, 100, PAGE_RECORDS_MAX + 1]) {
      expect(await read(undefined, limit)).toEqual([...names].sort());
      expect(await read("204", limit)).toEqual(names.slice(7));
      expect(await read("206", limit)).toEqual([]);
    }
  });

  on("a follower gets all, then each change, in order", async (store) => {
    await store.put(record({ password: PASSWORD }));
    await using follower: Listener = listen(store);
    await follower.reaches(1);
    const steps: [() => Promise<unknown>, string][] = [
      [() => store.put(record({ id: "i-2", nics: [nic("10.1.1.2")] })), "put i-2 2"],
      [() => store.put(record({ name: "web-02" })), "put i-1 3"],
      [() => store.put(record({ name: "web-02", password: PASSWORD })), "secret i-1 4"],
      [
        () => store.ack({ network: "204", instance: "i-1", epoch: 1, secretId: "s-1" }),
        "secret i-1 5",
      ],
      [() => store.delete({ ...NAME, id: "i-2" }), "delete i-2 6"],
    ];
    for (const [index, [step]] of steps.entries()) {
      await step();
      await follower.reaches(index + 2);
    }
    expect(follower.heard).toEqual(["snapshot 1", ...steps.map(([, heard]) => heard)]);
    expect([...follower.known.values()]).toEqual([
      (await store.get(NAME))?.record as InstanceRecord,
    ]);
  });

  on("a seal is kept with its record, and followed as a change of it", async (store) => {
    const userData = new Uint8Array(9000).fill(7);
    await store.put(record({ userData, password: PASSWORD }));
    await using follower: Listener = listen(store);
    await follower.reaches(1);
    const { record: before } = (await store.get(NAME)) as StoredRecord;
    const closed = await store.put(sealed(before), { expect: 1 });
    expect(closed).toMatchObject({ revision: 2, record: { sealedIncarnation: 1 } });
    expect((await store.put(sealed(closed.record))).revision).toBe(2);
    await follower.reaches(2);
    const listed = (await store.list()).records[0]?.record as InstanceRecord;
    const followed = follower.known.get(keyOf(NAME)) as InstanceRecord;
    for (const one of [listed, followed, (await store.get(NAME))?.record as InstanceRecord]) {
      expect(isSealed(one)).toBe(true);
      expect(await whole(one)).toMatchObject({
        userData: Buffer.from(userData),
        password: PASSWORD,
      });
    }
    // An acknowledgement that comes late takes the password, and leaves the seal.
    const { epoch } = closed.record;
    expect(await store.ack({ ...ACK, epoch })).toBe(true);
    expect(await store.get(NAME)).toMatchObject({ revision: 3, record: { sealedIncarnation: 1 } });
    await follower.reaches(3);
    const anew = await store.put({ ...sealed(before), incarnation: 2 });
    expect(isSealed(anew.record)).toBe(false);
    expect((await store.put(unsealed(anew.record))).record.sealedIncarnation).toBeUndefined();
    await follower.reaches(5);
    expect(follower.heard.slice(0, 3)).toEqual(["snapshot 1", "put i-1 2", "secret i-1 3"]);
    expect(isSealed(follower.known.get(keyOf(NAME)) as InstanceRecord)).toBe(false);
  });

  on("networks are kept, and followed", async (store) => {
    const network = { id: "204", cidrs: ["10.1.1.0/24", "fd00:5a::/64"], dnsDomain: "a.internal" };
    expect(await store.networks()).toEqual([]);
    await using follower: Listener = listen(store);
    await follower.reaches(0);
    await store.putNetworks([{ ...network, cidrs: ["10.1.1.7/24", "fd00:5a::/64"] }]);
    expect(await store.networks()).toEqual([network]);
    await follower.reaches(1);
    await store.putNetworks([network]);
    await store.put(record());
    await follower.reaches(2);
    expect(follower.heard).toEqual(["snapshot 0", "networks 204", "put i-1 2"]);
    await using late = listen(store);
    await late.reaches(2);
    expect(late.networks).toEqual([network]);
    const wrong = store.putNetworks([{ id: "204", cidrs: ["10.1.1.0"] }]);
    await expect(wrong).rejects.toMatchObject({ field: "networks[0].cidrs[0]" });
    await expect(store.putNetworks([network, network])).rejects.toMatchObject({
      code: "RECORD_INVALID",
    });
    expect(await store.networks()).toEqual([network]);
  });

  on("a follower that is slow gets each record once, as it is last", async (store) => {
    const end = new AbortController();
    const elements = store.follow(end.signal)[Symbol.asyncIterator]();
    expect((await elements.next()).value).toEqual({
      kind: "snapshot",
      records: [],
      networks: [],
      revision: 0,
    });
    await store.put(record({ password: PASSWORD }));
    await store.ack({ network: "204", instance: "i-1", epoch: 1, secretId: "s-1" });
    await store.put(record({ id: "i-2", nics: [] }));
    await store.delete({ ...NAME, id: "i-2" });
    await store.put(record({ id: "i-3", nics: [] }));
    await store.delete({ ...NAME, id: "i-3" });
    await store.put(record({ id: "i-3", nics: [], name: "anew" }));
    const { value } = await elements.next();
    const kept = async (id: string) => ({
      kind: "put",
      ...((await store.get({ ...NAME, id })) as object),
    });
    expect(value).toEqual({
      kind: "changes",
      revision: 7,
      changes: [
        await kept("i-1"),
        { kind: "delete", network: "204", id: "i-2", revision: 4 },
        await kept("i-3"),
      ],
    });
    end.abort();
    expect(await elements.next()).toEqual({ done: true, value: undefined });
  });

  on("who follows from now on gets no record of before, and each change since", async (store) => {
    await store.putNetworks([{ id: "204", cidrs: [] }]);
    await store.put(record({ password: PASSWORD }));
    await store.put(record({ id: "i-2", nics: [] }));
    const end = new AbortController();
    const elements = store.follow(end.signal, { from: "now" })[Symbol.asyncIterator]();
    const next = async () => (await elements.next()).value;
    expect(await next()).toEqual({ kind: "snapshot", records: [], networks: [], revision: 3 });
    await store.ack({ network: "204", instance: "i-1", epoch: 1, secretId: "s-1" });
    await store.delete({ ...NAME, id: "i-2" });
    const name = { network: "204", id: "i-1" };
    expect(await next()).toEqual({
      kind: "changes",
      revision: 5,
      changes: [
        { kind: "secret", ...name, revision: 4, epoch: 1, password: undefined },
        { kind: "delete", ...name, id: "i-2", revision: 5 },
      ],
    });
    const networks = [{ id: "205", cidrs: [] }];
    await store.putNetworks(networks);
    expect(await next()).toEqual({ kind: "changes", changes: [], networks, revision: 6 });
    end.abort();
    expect(await elements.next()).toEqual({ done: true, value: undefined });
  });

  on("a closed store ends its followers and refuses what comes later", async (store) => {
    const follower = listen(store);
    await follower.reaches(0);
    await store.close();
    await store.close();
    expect(await follower.failed).toBeUndefined();
    for (const call of [
      () => store.get(NAME),
      () => store.put(record()),
      () => store.delete(NAME),
      () => store.list(),
      () => store.networks(),
      () => store.putNetworks([]),
      () => store.putPayload(new Uint8Array(1), "file"),
      () => store.payload("0".repeat(64)),
      () => store.payloads(),
      () => store.deletePayload("0".repeat(64)),
      () => store.ack({ network: "204", instance: "i-1", epoch: 1, secretId: "s" }),
      () => store.follow(new AbortController().signal)[Symbol.asyncIterator]().next(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "STORE_CLOSED" });
    }
  });
}
