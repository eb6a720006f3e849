import { expect, test } from "bun:test";
import { MemoryStore } from "../../store/memory.ts";
import { LEAST, NOW, openTestLab, PUBLIC_KEY, type TestLab, WITH_PASSWORD } from "./testing.ts";

const text = (words: string): string => Buffer.from(words).toString("base64");

test("an instance keeps its record while it is stopped, started and rebooted", async () => {
  const lab = openTestLab();
  const { id: given } = await lab.done("deployVirtualMachine", { ...LEAST, startvm: "False" });
  const id = String(given);
  const before = await lab.record(id);
  const states = async (command: string): Promise<unknown> => {
    const { jobstatus, jobresult } = await lab.job(command, { id });
    const result = jobresult as { errorcode?: number; virtualmachine?: { state: string } };
    return jobstatus === 1 ? result.virtualmachine?.state : result.errorcode;
  };
  expect(await states("rebootVirtualMachine")).toBe(431);
  expect(await states("stopVirtualMachine")).toBe("Stopped");
  expect(await states("startVirtualMachine")).toBe("Running");
  expect(await states("startVirtualMachine")).toBe(431);
  expect(await states("rebootVirtualMachine")).toBe("Running");
  expect(await states("stopVirtualMachine")).toBe("Stopped");
  expect(await lab.record(id)).toEqual(before);
  expect(await lab.ok("listVirtualMachines", { id })).toMatchObject({
    count: 1,
    virtualmachine: [{ id, state: "Stopped" }],
  });
});

test("a destroyed instance is gone, for its guest and for the API", async () => {
  const lab = openTestLab();
  for (const [expunge, state] of [
    ["false", "Destroyed"],
    ["true", "Expunging"],
  ] as const) {
    const { id } = await lab.done("deployVirtualMachine", LEAST);
    const gone = await lab.done("destroyVirtualMachine", { id: String(id), expunge });
    expect(gone).toMatchObject({ id, state });
    expect(await lab.record(id)).toBeUndefined();
    expect(await lab.ok("listVirtualMachines")).toEqual({});
    expect((await lab.ask("destroyVirtualMachine", { id: String(id) })).status).toBe(431);
  }
  expect([...(await lab.store.documents("client-api-instance"))]).toEqual([]);
});

test("keys, password and user data are reset while it is stopped, and only then", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const { id: given, password } = await lab.done("deployVirtualMachine", {
    ...WITH_PASSWORD,
    "userdatadetails[0].tier": "front",
  });
  const id = String(given);
  const keys = { id, keypairs: "alice" };
  const data = { id, userdata: text("#!/bin/sh\n"), "userdatadetails[0].role": "db" };
  const running = await lab.record(id);
  for (const [command, params] of [
    ["resetSSHKeyForVirtualMachine", keys],
    ["resetPasswordForVirtualMachine", { id }],
  ] as const) {
    const failed = await lab.job(command, params);
    expect(failed).toMatchObject({ jobstatus: 2, jobresultcode: 530 });
    expect(failed.jobresult).toMatchObject({
      errorcode: 431,
      cserrorcode: 4350,
      errortext: "The instance must be stopped first",
    });
  }
  expect((await lab.ask("resetUserDataForVirtualMachine", data)).status).toBe(431);
  expect(await lab.record(id)).toEqual(running);

  await lab.done("stopVirtualMachine", { id });
  const withKey = await lab.done("resetSSHKeyForVirtualMachine", keys);
  expect(withKey).toMatchObject({ keypairs: "alice", details: { "SSH.PublicKey": PUBLIC_KEY } });
  const reset = await lab.done("resetPasswordForVirtualMachine", { id });
  const chosen = await lab.done("resetPasswordForVirtualMachine", { id, password: "Chosen-1" });
  expect(chosen.password).toBe("Chosen-1");
  expect(new Set([password, reset.password, chosen.password]).size).toBe(3);
  const { virtualmachine } = await lab.ok("resetUserDataForVirtualMachine", data);
  expect(virtualmachine).toMatchObject({ userdatadetails: "{role=db}" });

  const record = await lab.record(id);
  expect(record?.publicKeys).toEqual([PUBLIC_KEY]);
  expect(record?.password?.password).toBe("Chosen-1");
  expect(record?.password?.id).not.toBe(running?.password?.id);
  expect(record?.userData).toEqual(new Uint8Array(Buffer.from("#!/bin/sh\n")));
  const names = record?.keys.map(([name]) => name);
  expect(names).toContain("role");
  expect(names).not.toContain("tier");
  expect(names?.indexOf("role")).toBe(4);
  // Without any, it has none.
  await lab.ok("resetUserDataForVirtualMachine", { id });
  expect((await lab.record(id))?.userData).toBeUndefined();
});

test("a password is reset only where the template has one", async () => {
  const lab = openTestLab();
  const { id } = await lab.done("deployVirtualMachine", { ...LEAST, startvm: "false" });
  const failed = await lab.job("resetPasswordForVirtualMachine", { id: String(id) });
  expect(failed.jobresult).toMatchObject({ errortext: "The instance's template has no password" });
  for (const password of ["saved_password", "bad_request", " x", "x ", " "]) {
    const answer = await lab.ask("resetPasswordForVirtualMachine", { id: String(id), password });
    expect(answer.status).toBe(431);
  }
});

test("an acknowledgement survives a change that was under way", async () => {
  const lab = openTestLab();
  const { id } = await lab.done("deployVirtualMachine", WITH_PASSWORD);
  const record = await lab.record(id);
  const { network = "", epoch = 0, password } = record ?? {};
  await lab.ok("listVirtualMachines"); // Now the API knows the record as it was.
  const secretId = password?.id ?? "";
  expect(await lab.store.ack({ network, instance: String(id), epoch, secretId })).toBe(true);
  await lab.ok("updateVirtualMachine", { id: String(id), name: "renamed" });
  expect((await lab.record(id))?.password).toBeUndefined();
});

test("an acknowledgement between the reading and the writing of a record is kept too", async () => {
  const store = new (class extends MemoryStore {
    before: (() => Promise<unknown>) | undefined;
    override async put(...args: Parameters<MemoryStore["put"]>) {
      const { before } = this;
      this.before = undefined;
      await before?.();
      return super.put(...args);
    }
  })();
  const lab = openTestLab({ store });
  const { id } = await lab.done("deployVirtualMachine", WITH_PASSWORD);
  const { network = "", epoch = 0, password } = (await lab.record(id)) ?? {};
  const secretId = password?.id ?? "";
  store.before = () => store.ack({ network, instance: String(id), epoch, secretId });
  await lab.ok("updateVirtualMachine", { id: String(id), name: "renamed" });
  expect(await lab.record(id)).toMatchObject({ name: "renamed" });
  expect((await lab.record(id))?.password).toBeUndefined();
});

test("an update changes what guests see at once, and what is not named stays", async () => {
  const lab = openTestLab();
  const { id: given } = await lab.done("deployVirtualMachine", {
    ...LEAST,
    name: "old",
    userdata: text("one"),
    "userdatadetails[0].tier": "front",
    "details[0].rootDiskController": "virtio",
  });
  const id = String(given);
  const first = await lab.record(id);
  const { virtualmachine } = await lab.ok("updateVirtualMachine", { id, name: "new" });
  expect(virtualmachine).toMatchObject({ name: "new", displayname: "old" });
  const renamed = await lab.record(id);
  expect(renamed?.keys).toEqual(
    first?.keys.map(([name, value]) => [name, value === "old" ? "new" : value]) as never,
  );
  await lab.ok("updateVirtualMachine", { id, userdata: text("two"), displayname: "Shown" });
  expect(await dataOf(lab, id)).toBe("two");
  await lab.ok("updateVirtualMachine", { id, "userdatadetails[0].role": "db" });
  const keys = (await lab.record(id))?.keys.map(([name]) => name);
  expect(keys?.slice(3, 6)).toEqual(["local-hostname", "role", "public-ipv4"]);
  await lab.ok("updateVirtualMachine", { id, userdata: "" });
  expect((await lab.record(id))?.userData).toBeUndefined();
  const { virtualmachine: listed } = await lab.ok("listVirtualMachines", { id, userdata: "true" });
  expect(listed).toMatchObject([
    {
      displayname: "Shown",
      details: { rootDiskController: "virtio" },
      userdatadetails: "{role=db}",
    },
  ]);
});

test("registered user data is given by its id, and kept while an instance has it", async () => {
  const lab = openTestLab();
  const { userdata: made } = await lab.ok("registerUserData", {
    name: "motd",
    userdata: text("hello"),
    params: "tier,role",
  });
  const { id: userdataid } = made as { id: string };
  expect(made).toMatchObject({ name: "motd", userdata: text("hello"), params: "tier,role" });
  const { id: given } = await lab.done("deployVirtualMachine", { ...LEAST, userdataid });
  const id = String(given);
  expect(await dataOf(lab, id)).toBe("hello");
  expect(await lab.ok("listVirtualMachines")).toMatchObject({
    virtualmachine: [{ userdataid, userdataname: "motd", userdatapolicy: "ALLOWOVERRIDE" }],
  });
  const both = { id, userdataid, userdata: text("x") };
  for (const [command, params] of [
    ["registerUserData", { name: "motd", userdata: text("other") }],
    ["registerUserData", { name: "other", userdata: text("hello") }],
    ["registerUserData", { name: "other", userdata: "" }],
    ["registerUserData", { name: "other", userdata: "%%%" }],
    ["deleteUserData", { id: userdataid }],
    ["deleteUserData", { id: "nothing" }],
    ["listUserData", { id: "nothing" }],
    ["updateVirtualMachine", both],
  ] as const) {
    expect([command, (await lab.ask(command, params)).status]).toEqual([command, 431]);
  }
  await lab.ok("updateVirtualMachine", { id, userdata: text("own") });
  expect(await lab.ok("deleteUserData", { id: userdataid })).toEqual({ success: true });
  expect(await lab.ok("listUserData")).toEqual({});
  expect(await dataOf(lab, id)).toBe("own");
});

test("what was made is there after a restart, and an orphan is forgotten", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  await lab.ok("registerUserData", { name: "motd", userdata: text("hello") });
  await lab.done("deployVirtualMachine", { ...LEAST, name: "stays", startvm: "false" });
  const { id } = await lab.done("deployVirtualMachine", { ...LEAST, name: "goes" });
  const again = openTestLab({ store: lab.store });
  for (const list of ["listSSHKeyPairs", "listUserData", "listVirtualMachines", "listNetworks"]) {
    expect(await again.ok(list)).toEqual(await lab.ok(list));
  }
  const network = (await lab.record(id))?.network ?? "";
  await lab.store.delete({ network, id: String(id) });
  await openTestLab({ store: lab.store }).ok("listVirtualMachines");
  expect([...(await lab.store.documents("client-api-instance")).keys()]).not.toContain(String(id));
});

test("an instance that somebody else put in the store is listed, changed and destroyed too", async () => {
  const lab = openTestLab();
  await lab.store.put({
    network: "net-1",
    id: "i-1",
    name: "foreign",
    nics: [{ addresses: ["10.1.1.9" as never, "10.1.1.10" as never], default: true }],
    keys: [
      ["service-offering", "Tiny"],
      ["local-hostname", "foreign"],
    ],
    userData: new Uint8Array([1, 2, 3]),
    publicKeys: [PUBLIC_KEY],
    incarnation: 1,
    epoch: 1,
  });
  expect(await lab.ok("listVirtualMachines", { userdata: "true" })).toMatchObject({
    virtualmachine: [
      {
        id: "i-1",
        name: "foreign",
        state: "Running",
        serviceofferingname: "Tiny",
        userdata: "AQID",
        nic: [{ ipaddress: "10.1.1.9", secondaryip: [{ ipaddress: "10.1.1.10" }] }],
      },
    ],
  });
  await lab.ok("updateVirtualMachine", { id: "i-1", name: "ours" });
  expect((await lab.record("i-1"))?.keys[1]).toEqual(["local-hostname", "ours"]);
  await lab.done("stopVirtualMachine", { id: "i-1" });
  await lab.done("destroyVirtualMachine", { id: "i-1" });
  expect(await lab.record("i-1")).toBeUndefined();
});

test("a hundred deployments at once have a hundred addresses", async () => {
  const lab = openTestLab();
  const made = await Promise.all(
    Array.from({ length: 100 }, () => lab.done("deployVirtualMachine", LEAST)),
  );
  const addresses = made.map(({ nic }) => (nic as { ipaddress: string }[])[0]?.ipaddress);
  expect(new Set(addresses).size).toBe(100);
  const first = await lab.ok("listVirtualMachines", { page: "1", pagesize: "60" });
  const second = await lab.ok("listVirtualMachines", { page: "2", pagesize: "60" });
  const ids = [first, second].flatMap(({ virtualmachine }) =>
    (virtualmachine as { id: string }[]).map(({ id }) => id),
  );
  expect(new Set(ids).size).toBe(100);
  expect([first.count, second.count]).toEqual([100, 100]);
  expect(await lab.ok("listVirtualMachines", { page: "3", pagesize: "60" })).toEqual({});
});

test("no line of the log holds a secret", async () => {
  const lab = openTestLab();
  const { id, password } = await lab.done("deployVirtualMachine", {
    ...WITH_PASSWORD,
    userdata: text("s3cr3t-data"),
  });
  await lab.ask("updateVirtualMachine", {
    id: String(id),
    userdata: text("s3cr3t-data"),
    name: "-",
  });
  const log = lab.lines.join("");
  expect(log).toContain("deployVirtualMachine");
  for (const secret of [String(password), text("s3cr3t-data"), "s3cr3t"]) {
    expect(log).not.toContain(secret);
  }
  expect(lab.time).toBe(NOW);
});

async function dataOf(lab: TestLab, id: string): Promise<string> {
  const { virtualmachineuserdata } = await lab.ok("getVirtualMachineUserData", {
    virtualmachineid: id,
  });
  const { userdata } = virtualmachineuserdata as { userdata: string };
  return Buffer.from(userdata, "base64").toString();
}
