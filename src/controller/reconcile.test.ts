import { expect, test } from "bun:test";
import { type InstanceRecord, isSealed, sealed, unsealed } from "../model/record.ts";
import { instance, nic } from "../source/cloudstack/example.ts";
import { errorFault, SIGNAL } from "../source/cloudstack/testing.ts";
import { CONFIRM_MS } from "./shrink.ts";
import { addressOf, change, destroy, kept, openLab, populate } from "./testing.ts";

const NETWORK = "net-isolated";

test("a look makes the store say what the cloud says", async () => {
  await using lab = await openLab({ instances: 2 });
  expect(await lab.look.all(SIGNAL)).toEqual({ instances: 2, written: 2, deleted: 0 });
  expect(await kept(lab.store)).toEqual([
    `${NETWORK}/i-1 name-of-i-1 10.1.1.1`,
    `${NETWORK}/i-2 name-of-i-2 10.1.1.2`,
  ]);
  expect((await lab.store.networks()).map(({ id }) => id)).toContain(NETWORK);
  expect(lab.raised()).toEqual([]);
});

test("ten changes among five hundred are ten writes, whoever looks", async () => {
  await using lab = await openLab({ instances: 500 });
  await lab.look.all(SIGNAL);
  for (let n = 1; n <= 10; n++) change(lab.api, `i-${n}`, { name: `renamed-${n}` });
  const { revision } = await lab.store.list({ limit: 1 });
  expect(await lab.look.all(SIGNAL)).toEqual({ instances: 500, written: 10, deleted: 0 });
  // Another process, that knows nothing: the store itself says what it has.
  expect(await lab.another().all(SIGNAL)).toEqual({ instances: 500, written: 0, deleted: 0 });
  expect((await lab.store.list({ limit: 1 })).revision).toBe(revision + 10);
});

test("a second look asks the store about nothing that is the same", async () => {
  await using lab = await openLab({ instances: 20 });
  await lab.look.all(SIGNAL);
  let asked = 0;
  const get = lab.store.get.bind(lab.store);
  lab.store.get = (name) => {
    asked++;
    return get(name);
  };
  change(lab.api, "i-7", { name: "renamed" });
  await lab.look.all(SIGNAL);
  expect(asked).toBe(1);
  lab.look.doubt();
  await lab.look.all(SIGNAL);
  expect(asked).toBe(21);
});

test("what is destroyed, or no longer there, is deleted", async () => {
  await using lab = await openLab({ instances: 6 });
  await lab.look.all(SIGNAL);
  change(lab.api, "i-1", { state: "Destroyed" });
  destroy(lab.api, "i-2");
  expect(await lab.look.all(SIGNAL)).toMatchObject({ instances: 4, deleted: 2 });
  expect((await kept(lab.store)).map((line) => line.split(" ")[0])).toEqual(
    [3, 4, 5, 6].map((n) => `${NETWORK}/i-${n}`),
  );
});

test("a NIC that goes takes its record along, and no other", async () => {
  await using lab = await openLab({ instances: 1 });
  const nics = [nic(NETWORK, "10.1.1.1"), nic("net-tier", "10.2.1.9", { isdefault: false })];
  change(lab.api, "i-1", { nic: nics });
  await lab.look.all(SIGNAL);
  expect(await kept(lab.store)).toHaveLength(2);
  change(lab.api, "i-1", { nic: nics.slice(1) });
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 1 });
  expect(await kept(lab.store)).toEqual(["net-tier/i-1 name-of-i-1 10.2.1.9"]);
});

test("an address that passes to another instance is never with both, also where two swap", async () => {
  await using lab = await openLab({ instances: 3 });
  await lab.look.all(SIGNAL);
  const before = await lab.store.get({ network: NETWORK, id: "i-1" });
  change(lab.api, "i-1", { nic: [nic(NETWORK, addressOf(2))] });
  change(lab.api, "i-2", { nic: [nic(NETWORK, addressOf(1))] });
  await lab.look.all(SIGNAL);
  expect(await kept(lab.store)).toEqual([
    `${NETWORK}/i-1 name-of-i-1 10.1.1.2`,
    `${NETWORK}/i-2 name-of-i-2 10.1.1.1`,
    `${NETWORK}/i-3 name-of-i-3 10.1.1.3`,
  ]);
  const after = await lab.store.get({ network: NETWORK, id: "i-1" });
  expect(after?.record.epoch).toBeGreaterThan(before?.record.epoch ?? 0);
  expect(lab.raised()).toEqual([]);
});

test("an address is taken from an instance that nothing certain is known of", async () => {
  await using lab = await openLab({ instances: 3 });
  await lab.look.all(SIGNAL);
  // Its answer lacks a field, so its record stays; but another instance has the address now.
  change(lab.api, "i-1", { zonename: undefined });
  change(lab.api, "i-2", { nic: [nic(NETWORK, addressOf(1))] });
  await lab.look.all(SIGNAL);
  expect(await kept(lab.store)).toEqual([
    `${NETWORK}/i-1 name-of-i-1 `,
    `${NETWORK}/i-2 name-of-i-2 10.1.1.1`,
    `${NETWORK}/i-3 name-of-i-3 10.1.1.3`,
  ]);
  expect(lab.raised()).toContain(
    "CLOUDSTACK_INCOMPLETE field-missing listVirtualMachines.zonename",
  );
  change(lab.api, "i-1", { zonename: "zone-ber-1" });
  change(lab.api, "i-2", { nic: [nic(NETWORK, addressOf(2))] });
  await lab.look.all(SIGNAL);
  expect((await kept(lab.store))[0]).toBe(`${NETWORK}/i-1 name-of-i-1 10.1.1.1`);
  expect(lab.raised()).toEqual([]);
});

test("an instance that cannot be used keeps its last record", async () => {
  await using lab = await openLab({ instances: 2 });
  await lab.look.all(SIGNAL);
  change(lab.api, "i-1", { state: undefined, name: "other" });
  expect(await lab.look.all(SIGNAL)).toMatchObject({ written: 0, deleted: 0 });
  expect((await kept(lab.store))[0]).toBe(`${NETWORK}/i-1 name-of-i-1 10.1.1.1`);
});

test("a password in the store stays, whatever changes", async () => {
  await using lab = await openLab({ instances: 2 });
  await lab.look.all(SIGNAL);
  const name = { network: NETWORK, id: "i-1" };
  const { record } = (await lab.store.get(name)) as { record: InstanceRecord };
  await lab.store.put({ ...record, password: { id: "p-1", password: "fN7xvQ2p" } });
  change(lab.api, "i-1", { name: "renamed" });
  await lab.look.all(SIGNAL);
  const after = (await lab.store.get(name))?.record;
  expect(after).toMatchObject({ name: "renamed", password: { id: "p-1" } });
});

test("a seal stays, whatever changes, and another installation opens it", async () => {
  await using lab = await openLab({ instances: 2 });
  const disk = (id: string) => [{ id, virtualmachineid: "i-1", state: "Ready", type: "ROOT" }];
  lab.api.cloud.volumes = disk("disk-a");
  await lab.look.all(SIGNAL);
  const recordOf = async (network = NETWORK) =>
    (await lab.store.get({ network, id: "i-1" }))?.record as InstanceRecord;
  await lab.store.put(sealed(await recordOf()));
  const nics = [nic(NETWORK, "10.1.1.1"), nic("net-tier", "10.2.1.9", { isdefault: false })];
  change(lab.api, "i-1", { name: "renamed", nic: nics });
  await lab.look.all(SIGNAL);
  await lab.another().all(SIGNAL);
  expect(await recordOf()).toMatchObject({ name: "renamed", incarnation: 1 });
  // A NIC in another network opens nothing: one way in would be enough.
  expect([await recordOf(), await recordOf("net-tier")].map(isSealed)).toEqual([true, true]);
  // One that an operator has opened stays open, whatever the other is.
  await lab.store.put(unsealed(await recordOf()));
  change(lab.api, "i-1", { name: "renamed again" });
  await lab.look.all(SIGNAL);
  expect([await recordOf(), await recordOf("net-tier")].map(isSealed)).toEqual([false, true]);
  change(lab.api, "i-1", { nic: nics.slice(1) });
  await lab.look.all(SIGNAL);
  expect(isSealed(await recordOf("net-tier"))).toBe(true);
  lab.api.cloud.volumes = disk("disk-b");
  await lab.look.all(SIGNAL);
  expect(await recordOf("net-tier")).toMatchObject({ incarnation: 2, sealedIncarnation: 1 });
  expect(isSealed(await recordOf("net-tier"))).toBe(false);
});

test("another root disk is another installation, also across a restart", async () => {
  await using lab = await openLab({ instances: 1 });
  const incarnation = async () =>
    (await lab.store.get({ network: NETWORK, id: "i-1" }))?.record.incarnation;
  await lab.look.all(SIGNAL);
  expect(await incarnation()).toBe(1);
  const disk = (id: string) => [{ id, virtualmachineid: "i-1", state: "Ready", type: "ROOT" }];
  lab.api.cloud.volumes = disk("disk-b");
  await lab.another().all(SIGNAL);
  expect(await incarnation()).toBe(2);
  lab.api.cloud.volumes = disk("disk-c");
  await lab.another().all(SIGNAL);
  expect(await incarnation()).toBe(3);
  // Where the memory of it is lost, the record itself says the least that it is.
  await lab.store.putDocuments("installation", [["i-1", undefined]]);
  await lab.another().all(SIGNAL);
  expect(await incarnation()).toBe(3);
});

test("a cloud that lost most of its instances at once is believed at the second look", async () => {
  await using lab = await openLab({ instances: 8 });
  await lab.look.all(SIGNAL);
  destroy(lab.api, "i-1", "i-2", "i-3", "i-4", "i-5");
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 0, againMs: CONFIRM_MS });
  expect(lab.raised()).toEqual(["INSTANCES_VANISHED the cloud"]);
  // At once is no second look.
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 0 });
  lab.time += CONFIRM_MS;
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 5 });
  expect(lab.raised()).toEqual([]);
});

test("a cloud that lost its instances and has them again has lost none", async () => {
  await using lab = await openLab({ instances: 8 });
  await lab.look.all(SIGNAL);
  populate(lab.api, 0);
  await lab.look.all(SIGNAL);
  populate(lab.api, 8);
  lab.time += CONFIRM_MS;
  await lab.look.all(SIGNAL);
  expect(lab.raised()).toEqual([]);
  // The clock begins anew.
  populate(lab.api, 0);
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 0, againMs: CONFIRM_MS });
  expect(await kept(lab.store)).toHaveLength(8);
});

test("a page that fails leaves everything as it was", async () => {
  await using lab = await openLab({ instances: 30 });
  await lab.look.all(SIGNAL);
  lab.api.pageSizeMax = 10;
  destroy(lab.api, "i-1");
  change(lab.api, "i-2", { name: "renamed" });
  const half = Array.from({ length: 12 }, () => ({ cut: true }));
  lab.api.fail("listVirtualMachines", ...half);
  await expect(lab.look.all(SIGNAL)).rejects.toMatchObject({ code: "CLOUDSTACK_ANSWER" });
  expect(await kept(lab.store)).toContain(`${NETWORK}/i-2 name-of-i-2 10.1.1.2`);
  expect(await kept(lab.store)).toHaveLength(30);
}, 20_000);

test("networks that the keys may not list any more stay known", async () => {
  await using lab = await openLab({ instances: 2 });
  await lab.look.all(SIGNAL);
  const before = await lab.store.networks();
  lab.api.fail("listNetworks", errorFault(432, "not available for the account"));
  await lab.look.all(SIGNAL);
  expect(await lab.store.networks()).toEqual(before);
  expect(lab.raised()).toContain("CLOUDSTACK_NOT_PERMITTED not-permitted listNetworks");
  lab.api.cloud.networks = lab.api.cloud.networks.filter(({ id }) => id !== "net-l2");
  await lab.look.all(SIGNAL);
  expect((await lab.store.networks()).map(({ id }) => id)).not.toContain("net-l2");
  expect(lab.raised()).toEqual([]);
});

test("one instance can be looked at alone", async () => {
  await using lab = await openLab({ instances: 5 });
  expect(await lab.look.some(["i-1"], SIGNAL)).toBe(false);
  await lab.look.all(SIGNAL);
  const lists = lab.api.count("listVirtualMachines");
  change(lab.api, "i-1", { name: "renamed" });
  expect(await lab.look.some(["i-1"], SIGNAL)).toBe(true);
  expect((await kept(lab.store))[0]).toBe(`${NETWORK}/i-1 renamed 10.1.1.1`);
  expect(lab.api.count("listVirtualMachines")).toBe(lists + 1);
  change(lab.api, "i-1", { state: "Expunging" });
  expect(await lab.look.some(["i-1"], SIGNAL)).toBe(true);
  expect(await kept(lab.store)).toHaveLength(4);
});

test("what one instance alone cannot say wants a look at everything", async () => {
  await using lab = await openLab({ instances: 5 });
  await lab.look.all(SIGNAL);
  const before = await kept(lab.store);
  // Of no concern: events come of every instance, and the keys may not see them all.
  expect(await lab.look.some(["i-99"], SIGNAL)).toBe(true);
  // Gone, in a network that is new, with an offering that is new, with another one's address.
  const { instances } = lab.api.cloud;
  destroy(lab.api, "i-5");
  expect(await lab.look.some(["i-5"], SIGNAL)).toBe(false);
  lab.api.cloud.instances = instances;
  change(lab.api, "i-1", { nic: [nic("net-new", "10.9.9.9")] });
  expect(await lab.look.some(["i-1"], SIGNAL)).toBe(false);
  change(lab.api, "i-2", { serviceofferingid: "new" });
  expect(await lab.look.some(["i-2"], SIGNAL)).toBe(false);
  change(lab.api, "i-3", { nic: [nic(NETWORK, addressOf(4))] });
  expect(await lab.look.some(["i-3"], SIGNAL)).toBe(false);
  expect(await kept(lab.store)).toEqual(before);
});

test("a look at everything that began earlier undoes nothing that was seen since", async () => {
  await using lab = await openLab({ instances: 5 });
  let isLate = false;
  const look = lab.another(async (command) => {
    if (command !== "listConfigurations" || !isLate) return;
    isLate = false;
    // The list of instances was read before this.
    change(lab.api, "i-1", { name: "renamed" });
    change(lab.api, "i-2", { state: "Destroyed" });
    await look.some(["i-1", "i-2"], SIGNAL);
  });
  await look.all(SIGNAL);
  const heard: string[] = [];
  const put = lab.store.put.bind(lab.store);
  lab.store.put = (record, options) => {
    heard.push(`${record.id} ${record.name}`);
    return put(record, options);
  };
  isLate = true;
  await look.all(SIGNAL);
  expect(heard).toEqual(["i-1 renamed"]);
  expect(await kept(lab.store)).toHaveLength(4);
  await look.all(SIGNAL);
  expect(heard).toEqual(["i-1 renamed"]);
});

test("an instance of a project is found by its id", async () => {
  await using lab = await openLab({ instances: 3 });
  change(lab.api, "i-1", { projectid: "p-1", project: "apollo" });
  lab.api.cloud.volumes = lab.api.cloud.volumes.map((disk) =>
    disk.virtualmachineid === "i-1" ? { ...disk, projectid: "p-1" } : disk,
  );
  await lab.look.all(SIGNAL);
  change(lab.api, "i-1", { name: "renamed" });
  lab.api.cloud.volumes = lab.api.cloud.volumes.map((disk) =>
    disk.virtualmachineid === "i-1" ? { ...disk, id: "disk-new" } : disk,
  );
  expect(await lab.look.some(["i-1"], SIGNAL)).toBe(true);
  const after = (await lab.store.get({ network: NETWORK, id: "i-1" }))?.record;
  expect(after).toMatchObject({ name: "renamed", incarnation: 2 });
});

test("an instance that came back while everything was looked at stays", async () => {
  await using lab = await openLab({ instances: 5 });
  let isLate = false;
  const look = lab.another(async (command) => {
    if (command !== "listConfigurations" || !isLate) return;
    isLate = false;
    change(lab.api, "i-3", { state: "Running" });
    await look.some(["i-3"], SIGNAL);
  });
  await look.all(SIGNAL);
  change(lab.api, "i-3", { state: "Destroyed" });
  isLate = true;
  expect(await look.all(SIGNAL)).toMatchObject({ deleted: 0 });
  expect(await kept(lab.store)).toHaveLength(5);
});

test("by a list that never stands still nobody is taken for gone", async () => {
  await using lab = await openLab({ instances: 30 });
  await lab.look.all(SIGNAL);
  destroy(lab.api, "i-1");
  lab.api.pageSizeMax = 10;
  let more = 100;
  const before = (): void => {
    lab.api.cloud.instances.push(instance(`i-${more}`, { nic: [nic(NETWORK, addressOf(more))] }));
    more++;
  };
  lab.api.fail("listVirtualMachines", ...Array(200).fill({ before }));
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 0 });
  expect(lab.raised()).toContain("CLOUDSTACK_UNSETTLED list-unsettled listVirtualMachines");
  expect((await kept(lab.store))[0]).toStartWith(`${NETWORK}/i-1 `);
  lab.api.faults.clear();
  expect(await lab.look.all(SIGNAL)).toMatchObject({ deleted: 1 });
  expect(lab.raised()).toEqual([]);
});
