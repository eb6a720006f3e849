/** What a keeper does while somebody else writes the same instances. */

import { expect, test } from "bun:test";
import { nic, optionsOf, record, scratch } from "../../test/store/samples.ts";
import { isSealed, sealed } from "../model/record.ts";
import { MemoryStore } from "../store/memory.ts";
import { openSqlite } from "../store/sqlite.ts";
import { Keeper } from "./keeper.ts";

for (const turns of [0, 6, 200]) {
  test(`a NIC that comes ${turns} turns after a seal was asked for is sealed`, async () => {
    using folder = scratch();
    await using store = await openSqlite(`${folder.path}/store.sqlite`, optionsOf());
    const keeper = await Keeper.open(store);
    await keeper.keep("i-1", [record()]);
    const open = await store.get({ network: "204", id: "i-1" });
    if (open === undefined) throw new Error("it was not kept");
    const sealing = store.put(sealed(open.record), { expect: open.revision });
    for (let turn = 0; turn < turns; turn++) await null;
    await keeper.keep("i-1", [record(), record({ network: "205" })]);
    await sealing;
    for (const network of ["204", "205"]) {
      const held = await store.get({ network, id: "i-1" });
      expect(held && isSealed(held.record)).toBe(true);
    }
  });
}

const SECRET = { id: "p-1", password: "hunter2" };

/** `x` is in network A, sealed and with a password that waits; `y` has 10.2.0.20 in network B. */
async function scene() {
  const store = new MemoryStore();
  const keeper = await Keeper.open(store);
  await keeper.keep("x", [x("A", "10.1.0.1")]);
  await keeper.keep("y", [record({ id: "y", network: "B", nics: [nic("10.2.0.20")] })]);
  const held = await store.get({ network: "A", id: "x" });
  if (held === undefined) throw new Error("it was not kept");
  await store.put({ ...sealed(held.record), password: SECRET });
  const known = async (network: string) => (await store.get({ network, id: "x" }))?.record;
  return { store, keeper, known };
}

const x = (network: string, ...addresses: string[]) =>
  record({ id: "x", network, nics: [nic(...addresses)] });

test("an instance that changes its network stays sealed, and its password waits on", async () => {
  const { keeper, known } = await scene();
  expect(await keeper.keep("x", [x("B", "10.2.0.1")])).toEqual([]);
  expect(await known("A")).toBeUndefined();
  expect(await known("B")).toMatchObject({ sealedIncarnation: 1, password: SECRET });
});

test("so it does where another has its new address still, and answers nobody meanwhile", async () => {
  const { keeper, known } = await scene();
  const waiting = await keeper.keep("x", [x("B", "10.2.0.20")]);
  expect(await known("A")).toMatchObject({ nics: [], sealedIncarnation: 1, password: SECRET });
  await keeper.keep("y", [record({ id: "y", network: "B", nics: [nic("10.2.0.21")] })]);
  expect(await keeper.settle(waiting)).toEqual([]);
  expect(await known("A")).toBeUndefined();
  expect(await known("B")).toMatchObject({ sealedIncarnation: 1, password: SECRET });
});

test("what could not be settled is forgotten by no look that follows", async () => {
  const { keeper, known } = await scene();
  await keeper.keep("x", [x("B", "10.2.0.20")]);
  await keeper.keep("y", [record({ id: "y", network: "B", nics: [nic("10.2.0.21")] })]);
  expect(await keeper.keep("x", [x("B", "10.2.0.20")])).toEqual([]);
  expect(await known("A")).toBeUndefined();
  expect(await known("B")).toMatchObject({ sealedIncarnation: 1, password: SECRET });
});

test("a password goes to one network only, and where the default NIC is", async () => {
  const { keeper, known } = await scene();
  const side = record({ id: "x", network: "C", nics: [{ ...nic("10.3.0.1"), default: false }] });
  await keeper.keep("x", [side, x("B", "10.2.0.1")]);
  expect((await known("C"))?.password).toBeUndefined();
  expect((await known("B"))?.password).toEqual(SECRET);
});

test("a password waits on in a network that the instance was in before", async () => {
  const { keeper, known } = await scene();
  await keeper.keep("x", [x("A", "10.1.0.1"), x("B", "10.2.0.1")]);
  expect((await known("B"))?.password).toBeUndefined();
  await keeper.keep("x", [x("B", "10.2.0.1")]);
  expect((await known("B"))?.password).toEqual(SECRET);
});

test("a source that says what password waits has none of another network's", async () => {
  const { keeper, known } = await scene();
  await keeper.keep("x", [x("B", "10.2.0.1")], { ownsPassword: true });
  expect((await known("B"))?.password).toBeUndefined();
});
