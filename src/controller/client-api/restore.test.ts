import { expect, test } from "bun:test";
import type { Fields } from "../../source/cloudstack/answer.ts";
import { timestamp } from "../../source/cloudstack/sign.ts";
import { TEMPLATES } from "./catalogue.ts";
import { LEAST, NOW, openTestLab, PUBLIC_KEY, type TestLab, WITH_PASSWORD } from "./testing.ts";

test("an instance that is installed anew has another root disk, and else what it had", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const first = await lab.done("deployVirtualMachine", {
    ...{ ...LEAST, name: "web", keypair: "alice", userdata: "AAAA" },
  });
  const other = await lab.done("deployVirtualMachine", LEAST);
  const before = await lab.record(first.id);
  const disk = await diskOf(lab, first.id);
  const disks = [disk, await diskOf(lab, other.id)];
  expect(disk).toMatchObject({ name: "ROOT-web", type: "ROOT", vmname: "web", state: "Ready" });
  lab.time = NOW + 60_000;
  const restored = await lab.done("restoreVirtualMachine", { virtualmachineid: String(first.id) });
  expect(restored).toEqual(first);
  expect(before?.incarnation).toBe(1);
  expect(await lab.record(first.id)).toEqual({ ...before, incarnation: 2 } as never);
  const { id, ...same } = await diskOf(lab, first.id);
  expect(disks.map((one) => one.id)).not.toContain(id);
  expect(same).toEqual({ ...disk, id: undefined, created: timestamp(lab.time) } as never);
  expect(await diskOf(lab, other.id)).toEqual(disks[1] as never);
  // And so again, after a restart.
  const again = openTestLab({ store: lab.store });
  expect((await diskOf(again, first.id)).id).toBe(id);
  await again.done("restoreVirtualMachine", { virtualmachineid: String(first.id) });
  expect((await lab.record(first.id))?.incarnation).toBe(3);
});

test("every record of an instance rises, once, also when another writer comes between", async () => {
  const lab = openTestLab();
  await lab.ok("listNetworks");
  const networks = await lab.store.networks();
  await lab.store.putNetworks([...networks, { id: "net-2", cidrs: ["10.2.0.0/16"] }]);
  const networkids = `net-2,${networks[0]?.id}`;
  const { id } = await lab.done("deployVirtualMachine", { ...LEAST, networkids });
  const put = lab.store.put.bind(lab.store);
  let meddled = 0;
  lab.store.put = async (record, options) => {
    if (record.network !== "net-2" && meddled++ === 0) {
      const now = await lab.store.get(record);
      if (now !== undefined) await put({ ...now.record, zone: "else" });
    }
    return put(record, options);
  };
  await lab.done("restoreVirtualMachine", { virtualmachineid: String(id) });
  const { records } = await lab.store.list();
  expect(meddled).toBe(2);
  expect(records.map(({ record }) => record.incarnation)).toEqual([2, 2]);
  expect(records.map(({ record }) => record.zone)).toContain("else");
});

test("a new password waits where the template has one, and none where it has not", async () => {
  const lab = openTestLab();
  const [plain, withPassword] = TEMPLATES;
  const cases = [
    [LEAST, withPassword, true],
    [WITH_PASSWORD, undefined, true],
    [WITH_PASSWORD, plain, false],
    [LEAST, undefined, false],
  ] as const;
  for (const [deployed, template, has] of cases) {
    const { id, password: former } = await lab.done("deployVirtualMachine", deployed);
    const { password, templateid } = await lab.done("restoreVirtualMachine", {
      virtualmachineid: String(id),
      ...(template !== undefined && { templateid: template.id }),
    });
    expect(templateid).toBe(template?.id ?? deployed.templateid);
    expect(password === undefined).toBe(!has);
    if (has) expect(password).not.toBe(former);
    const record = await lab.record(id);
    const name = TEMPLATES.find((one) => one.id === templateid)?.name;
    expect([record?.template, record?.password?.password]).toEqual([name, password as string]);
  }
});

test("the answer has CloudStack's own name, and what is not there is refused", async () => {
  const lab = openTestLab();
  const { id } = await lab.done("deployVirtualMachine", LEAST);
  const virtualmachineid = String(id);
  const asked = await lab.ask("restoreVirtualMachine", { virtualmachineid });
  expect([asked.name, Object.keys(asked.content)]).toEqual(["restorevmresponse", ["jobid"]]);
  const cases: readonly (readonly [string, Record<string, string>])[] = [
    ["restoreVirtualMachine", {}],
    ["restoreVirtualMachine", { virtualmachineid: "nobody" }],
    ["restoreVirtualMachine", { virtualmachineid, templateid: "nothing" }],
    ["listVolumes", { virtualmachineid: "nobody" }],
    ["listVolumes", { id: "nothing" }],
    ["listVolumes", { projectid: "p-1" }],
  ];
  for (const [command, params] of cases) {
    const { status, name } = await lab.ask(command, params);
    expect([command, params, status]).toEqual([command, params, 431]);
    if (command !== "listVolumes") expect(name).toBe("restorevmresponse");
  }
  await lab.done("stopVirtualMachine", { id: virtualmachineid });
  const stopped = await lab.done("restoreVirtualMachine", { virtualmachineid });
  expect(stopped.state).toBe("Stopped");
});

test("volumes are listed by what they are asked by", async () => {
  const lab = openTestLab();
  const made = [];
  for (const name of ["one", "two", "three"]) {
    made.push(String((await lab.done("deployVirtualMachine", { ...LEAST, name })).id));
  }
  const [one = "", two = ""] = made;
  const [a, b] = [await diskOf(lab, one), await diskOf(lab, two)];
  const cases: readonly (readonly [Record<string, string>, readonly string[]])[] = [
    [{}, ["ROOT-one", "ROOT-three", "ROOT-two"]],
    [{ type: "ROOT", listall: "true", projectid: "-1" }, ["ROOT-one", "ROOT-three", "ROOT-two"]],
    [{ type: "DATADISK" }, []],
    [{ id: String(a.id) }, ["ROOT-one"]],
    [{ ids: `${a.id},${b.id}` }, ["ROOT-one", "ROOT-two"]],
    [{ virtualmachineid: two }, ["ROOT-two"]],
    [{ name: "ROOT-one" }, ["ROOT-one"]],
    [{ keyword: "-t" }, ["ROOT-three", "ROOT-two"]],
    [{ zoneid: "elsewhere" }, []],
  ];
  for (const [params, expected] of cases) {
    const { volume = [], count } = await lab.ok("listVolumes", params);
    const names = (volume as Fields[]).map(({ name }) => name).sort();
    expect([params, names]).toEqual([params, [...expected]]);
    expect(count).toBe(expected.length === 0 ? undefined : (expected.length as never));
  }
  const page = await lab.ok("listVolumes", { page: "2", pagesize: "2" });
  expect([page.count, (page.volume as Fields[]).length]).toEqual([3, 1]);
});

async function diskOf(lab: TestLab, id: unknown): Promise<Fields> {
  const { volume } = await lab.ok("listVolumes", { virtualmachineid: String(id), type: "ROOT" });
  const [disk, ...others] = volume as Fields[];
  expect(others).toEqual([]);
  expect(disk?.virtualmachineid).toBe(id as string);
  return disk ?? {};
}
