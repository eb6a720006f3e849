/**
 * Looks at an API that is broken, or is somebody else's: what it says must cost no record, no
 * password, and nothing of the others.
 */

import { expect, test } from "bun:test";
import type { Network } from "../model/change.ts";
import { LEVELS_MAX } from "../model/json-size.ts";
import type { InstanceRecord } from "../model/record.ts";
import { NETWORKS_MAX } from "../model/record-limits.ts";
import { instance, nic } from "../source/cloudstack/example.ts";
import { SIGNAL } from "../source/cloudstack/testing.ts";
import { CONFIRM_MS } from "./shrink.ts";
import { change, kept, openLab } from "./testing.ts";

test("a list that contradicts itself costs no record and no password, however often", async () => {
  for (const virtualmachine of ["xx", [], {}, undefined]) {
    await using lab = await openLab({ instances: 2 });
    await lab.look.all(SIGNAL);
    const name = { network: "net-isolated", id: "i-1" };
    const { record } = (await lab.store.get(name)) as { record: InstanceRecord };
    const password = { id: "p-1", password: "fN7xvQ2p" };
    await lab.store.put({ ...record, password });
    const body = JSON.stringify({ listvirtualmachinesresponse: { count: 2, virtualmachine } });
    lab.api.fail("listVirtualMachines", ...Array.from({ length: 20 }, () => ({ body })));
    for (let look = 0; look < 3; look++) {
      await expect(lab.look.all(SIGNAL)).rejects.toMatchObject({ code: "CLOUDSTACK_ANSWER" });
      lab.time += CONFIRM_MS;
    }
    lab.api.faults.clear();
    expect(await lab.look.all(SIGNAL)).toMatchObject({ instances: 2, deleted: 0 });
    expect((await kept(lab.store)).length).toBe(2);
    expect((await lab.store.get(name))?.record.password).toEqual(password);
  }
});

test("one instance with an id that nobody can keep costs nothing of the others", async () => {
  const cases: readonly (readonly [id: unknown, raised: string])[] = [
    ["x".repeat(256), "INSTANCE_UNUSABLE instance-unusable listVirtualMachines.id"],
    ["x".repeat(1_000_000), "INSTANCE_UNUSABLE instance-unusable listVirtualMachines.id"],
    ["a\nb", "INSTANCE_UNUSABLE instance-unusable listVirtualMachines.id"],
    ["", "CLOUDSTACK_UNSETTLED list-unsettled listVirtualMachines"],
    [deep(LEVELS_MAX - 8), "CLOUDSTACK_INCOMPLETE field-missing listVirtualMachines.id"],
    [{ toString: 1 }, "CLOUDSTACK_INCOMPLETE field-missing listVirtualMachines.id"],
    [null, "CLOUDSTACK_INCOMPLETE field-missing listVirtualMachines.id"],
  ];
  for (const [id, raised] of cases) {
    await using lab = await openLab({ instances: 2 });
    lab.api.cloud.instances.unshift({
      ...instance("i-9", { nic: [nic("net-isolated", "10.1.9.9")] }),
      id,
    });
    expect(await lab.look.all(SIGNAL)).toMatchObject({ written: 2 });
    expect((await kept(lab.store)).length).toBe(2);
    expect(lab.raised()).toContain(raised);
    const details = lab.conditions.list().map(({ detail }) => detail);
    expect(Math.max(...details.map((detail) => detail.length))).toBeLessThan(400);
    change(lab.api, "i-1", { name: "renamed" });
    expect(await lab.look.all(SIGNAL)).toMatchObject({ written: 1, deleted: 0 });
  }
});

test("a disk with an id that nobody can keep is none", async () => {
  await using lab = await openLab({ instances: 2 });
  lab.api.cloud.volumes = lab.api.cloud.volumes.map((disk, at) =>
    at === 0 ? { ...disk, id: "x".repeat(3_000_000) } : disk,
  );
  expect(await lab.look.all(SIGNAL)).toMatchObject({ instances: 2, written: 2 });
});

test("a network that cannot be kept any more stays as it was, and is named", async () => {
  await using lab = await openLab({ instances: 2 });
  await lab.look.all(SIGNAL);
  const before = await lab.store.networks();
  const cidr = Array.from({ length: 101 }, (_, n) => `10.1.${n}.0/24`).join(",");
  const whole = lab.api.cloud.networks;
  lab.api.cloud.networks = [
    ...whole.map((network) => (network.id === "net-isolated" ? { ...network, cidr } : network)),
    { id: "no network's id", type: "Isolated", cidr: "10.9.9.0/24" },
  ];
  for (let look = 0; look < 2; look++) await lab.look.all(SIGNAL);
  const byId = (networks: readonly Network[]) =>
    networks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  expect(byId(await lab.store.networks())).toEqual(byId(before));
  expect(lab.raised()).toEqual(["NETWORK_UNUSABLE network-unusable listNetworks"]);
  const [{ detail = "" } = {}] = lab.conditions.list();
  expect(detail).toContain("net-isolated, no network's id");
  lab.api.cloud.networks = whole;
  await lab.look.all(SIGNAL);
  expect(lab.raised()).toEqual([]);
});

test("of more networks than are kept, those with instances are, and the look succeeds", async () => {
  await using lab = await openLab({ instances: 2 });
  const many = Array.from({ length: NETWORKS_MAX + 5 }, (_, n) => ({ id: `n-${n}`, type: "L2" }));
  lab.api.cloud.networks.unshift(...many);
  for (let look = 0; look < 2; look++) await lab.look.all(SIGNAL);
  const ids = (await lab.store.networks()).map(({ id }) => id);
  expect([ids.length, ids.includes("net-isolated")]).toEqual([NETWORKS_MAX, true]);
  expect(lab.raised()).toEqual(["NETWORK_UNUSABLE networks-left-out listNetworks"]);
});

function deep(levels: number): unknown {
  let value: unknown = "i-9";
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}
