import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import type { Ip } from "../../model/address.ts";
import { type InstanceRecord, toBindings } from "../../model/record.ts";
import type { Params } from "../../source/cloudstack/sign.ts";
import { CLOUD_ID, LAB_NETWORK } from "./catalogue.ts";
import { LEAST, openTestLab, PUBLIC_KEY, type TestLab, WITH_PASSWORD } from "./testing.ts";

test("an instance has all that its guest is answered, as soon as it is deployed", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const instance = await lab.done("deployVirtualMachine", {
    ...WITH_PASSWORD,
    name: "web-01",
    displayname: "Web server",
    ipaddress: "127.0.0.57",
    macaddress: "02:00:5A:10:00:07",
    keypair: "alice",
    userdata: Buffer.from("#cloud-config\n").toString("base64"),
    "userdatadetails[0].tier": "front",
  });
  const record = await lab.record(instance.id);
  const id = String(instance.id);
  expect(record).toEqual({
    network: LAB_NETWORK.id,
    id,
    name: "web-01",
    account: "admin",
    zone: "lab",
    template: "debian-12-password",
    nics: [{ mac: "02:00:5a:10:00:07", addresses: ["127.0.0.57"], default: true }] as never,
    keys: [
      ["service-offering", "Small Instance"],
      ["availability-zone", "lab"],
      ["local-ipv4", "127.0.0.57"],
      ["local-hostname", "web-01"],
      ["tier", "front"],
      ["public-ipv4", "127.0.0.57"],
      ["public-hostname", "web-01"],
      ["instance-id", id],
      ["vm-id", id],
      ["public-keys", null],
      ["cloud-identifier", `CloudStack-{${CLOUD_ID}}`],
      ["hypervisor-host-name", null],
    ],
    publicKeys: [PUBLIC_KEY],
    userData: new Uint8Array(Buffer.from("#cloud-config\n")),
    password: { id: expect.any(String) as never, password: String(instance.password) },
    incarnation: 1,
    epoch: 1,
  });
  expect(instance.password).toMatch(/^[A-Za-z0-9]{12}$/);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("the keys are those of CloudStack's own command for a shared network, in its order", async () => {
  const lab = openTestLab();
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const { id } = await lab.done("deployVirtualMachine", { ...LEAST, keypair: "alice" });
  const folder = "fixtures/cloudstack/shared/commands";
  const name = readdirSync(folder).find((name) => name.includes("vm_metadata.json"));
  const { vm_metadata } = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as {
    vm_metadata: [string, string, string][];
  };
  const sent = vm_metadata.filter(([folder]) => folder === "metadata").map(([, key]) => key);
  const record = await lab.record(id);
  if (record === undefined) throw new Error("no record");
  expect(toBindings(record, "x")[0]?.keys.map(([key]) => key)).toEqual(sent);
});

test("a first deployment needs an offering, a template and the zone, nothing else", async () => {
  const lab = openTestLab();
  const first = await lab.done("deployVirtualMachine", LEAST);
  const second = await lab.done("deployVirtualMachine", LEAST);
  expect(await addressOf(lab, first.id)).toBe("127.1.0.1");
  expect(await addressOf(lab, second.id)).toBe("127.1.0.2");
  expect(first.name).toBe(`vm-${String(first.id)}`);
  expect(first.state).toBe("Running");
  expect(first.password).toBeUndefined();
  const [nic] = first.nic as Record<string, unknown>[];
  expect(nic?.macaddress).toMatch(/^02:00(:[0-9a-f]{2}){4}$/);
  expect(await lab.store.networks()).toEqual([LAB_NETWORK]);
});

test("an address that somebody else has given is not given, and one that is free again is", async () => {
  const lab = openTestLab();
  await lab.ok("listNetworks");
  await lab.store.putNetworks([{ id: "a", cidrs: ["10.1.1.0/29"] }]);
  const deploy = async (): Promise<Record<string, unknown>> =>
    lab.done("deployVirtualMachine", LEAST);
  const { id } = await deploy();
  const foreign: InstanceRecord = {
    network: "a",
    id: "of-another",
    name: "of-another",
    nics: [{ addresses: ["10.1.1.3" as Ip], default: true }],
    keys: [],
    publicKeys: [],
    incarnation: 1,
    epoch: 1,
  };
  await lab.store.put(foreign);
  const second = await deploy();
  expect(await addressOf(lab, second.id)).toBe("10.1.1.4");
  await lab.done("destroyVirtualMachine", { id: String(id) });
  await lab.store.delete(foreign);
  const rest = [];
  for (let n = 0; n < 4; n++) rest.push(await addressOf(lab, (await deploy()).id));
  expect(rest).toEqual(["10.1.1.5", "10.1.1.6", "10.1.1.2", "10.1.1.3"]);
  const failed = await lab.job("deployVirtualMachine", LEAST);
  expect(failed.jobresult).toMatchObject({ errorcode: 533 });
});

test("an instance in several networks has a record in each, and its password in the first", async () => {
  const lab = openTestLab();
  await lab.ok("listNetworks");
  await lab.store.putNetworks([
    { id: "a", cidrs: ["10.1.1.0/30"] },
    { id: "b", cidrs: ["fd00::/64"], dnsDomain: "lab.example" },
  ]);
  const more = { ...WITH_PASSWORD, networkids: "a,b" };
  const { id, nic } = await lab.done("deployVirtualMachine", more);
  const { records } = await lab.store.list();
  const by = new Map(records.map(({ record }) => [record.network, record]));
  expect(by.get("a")?.nics[0]).toMatchObject({ addresses: ["10.1.1.2"], default: true });
  expect(by.get("b")?.nics[0]).toMatchObject({ addresses: ["fd00::2"], default: false });
  expect(by.get("a")?.password).toBeDefined();
  expect(by.get("b")?.password).toBeUndefined();
  expect(by.get("b")?.keys.map(([name]) => name)).not.toContain("local-ipv4");
  expect(nic).toMatchObject([
    { networkid: "a", netmask: "255.255.255.252", gateway: "10.1.1.1", deviceid: "0" },
    { networkid: "b", ip6address: "fd00::2", ip6cidr: "fd00::/64", deviceid: "1" },
  ]);
  // The first network is full now: nothing of a second instance stays behind.
  const failed = await lab.job("deployVirtualMachine", { ...more, networkids: "b,a" });
  expect(failed).toMatchObject({ jobstatus: 2, jobresultcode: 530 });
  expect(failed.jobresult).toMatchObject({ errorcode: 533 });
  expect((await lab.store.list()).records.length).toBe(2);
  expect(await lab.ok("listNics", { virtualmachineid: String(id) })).toMatchObject({ count: 2 });
});

test("each network gets the address that is asked for there, and what is not asked for is given", async () => {
  const lab = await withNetworks();
  const { id, nic } = await lab.done("deployVirtualMachine", {
    ...WITH_PASSWORD,
    "iptonetworklist[10].networkid": "c",
    "iptonetworklist[2].networkid": "b",
    "iptonetworklist[2].ipv6": "FD00:0::9",
    "iptonetworklist[2].ip": "",
    "iptonetworklist[0].networkid": "a",
    "iptonetworklist[0].ip": "10.1.1.77",
    "iptonetworklist[0].mac": "02:00:00:00:00:AB",
    "iptonetworklist[0].linkstate": "true",
    "iptonetworklist[9].networkid": "d",
    "iptonetworklist[9].ipv6": "fd01::9",
  });
  const { records } = await lab.store.list();
  const by = new Map(records.map(({ record }) => [record.network, record]));
  const nics = [...by].map(([network, { nics }]) => [network, nics[0]?.addresses.map(String)]);
  nics.sort();
  expect(nics).toEqual([
    ["a", ["10.1.1.77"]],
    ["b", ["fd00::9"]],
    ["c", ["10.3.0.2"]],
    ["d", ["10.4.0.2", "fd01::9"]],
  ]);
  expect(records.every(({ record }) => record.id === id)).toBe(true);
  expect(by.get("a")?.nics[0]).toMatchObject({ mac: "02:00:00:00:00:ab", default: true });
  expect(by.get("a")?.keys).toContainEqual(["local-ipv4", "10.1.1.77"]);
  expect(by.get("a")?.password).toBeDefined();
  expect(by.get("d")?.keys).toContainEqual(["local-ipv4", "10.4.0.2"]);
  expect((nic as { networkid: string }[]).map(({ networkid }) => networkid)).toEqual([
    ...["a", "b", "d", "c"],
  ]);
});

test("a list of networks and addresses that cannot be had is refused, and nothing is kept", async () => {
  const lab = await withNetworks();
  const a = { "iptonetworklist[0].networkid": "a" };
  const ip = { ...a, "iptonetworklist[0].ip": "10.1.1.9" };
  await lab.done("deployVirtualMachine", { ...LEAST, ...ip });
  const kept = await lab.store.list();
  const both = /^iptonetworklist can't be specified along with/;
  const form = /^The parameter iptonetworklist must be iptonetworklist\[0\]\.key=value/;
  const cases: readonly (readonly [params: Params, said: RegExp])[] = [
    [{ ...a, networkids: "a" }, both],
    [{ ...a, ipaddress: "10.1.1.10" }, both],
    [{ ...a, macaddress: "02:00:00:00:00:01" }, both],
    [{ "iptonetworklist[x].networkid": "a" }, form],
    [{ "iptonetworklist[-1].networkid": "a" }, form],
    [{ "iptonetworklist[00].networkid": "a" }, form],
    [{ "iptonetworklist[1000].networkid": "a" }, form],
    [{ "iptonetworklist[].networkid": "a" }, form],
    [{ "iptonetworklist[0]": "a" }, form],
    [{ "iptonetworklist[0]networkid": "a" }, form],
    [{ iptonetworklist: "a" }, form],
    [{ "iptonetworklist[0].networkid": "a\nb" }, form],
    [
      Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`iptonetworklist[${n}].ip`, "1"])),
      /over 100/,
    ],
    [{ "iptonetworklist[0].ip": "10.1.1.10" }, /^iptonetworklist: a networkid is missing/],
    [{ ...a, "iptonetworklist[1].ip": "10.1.1.10" }, /^iptonetworklist: a networkid is missing/],
    [{ "iptonetworklist[0].networkId": "a" }, /^iptonetworklist: a networkid is missing/],
    [{ "iptonetworklist[0].networkid": "<b>" }, /^iptonetworklist: there is no such network/],
    [{ ...a, "iptonetworklist[1].networkid": "a" }, /^iptonetworklist: a network is named twice/],
    [{ ...ip, "iptonetworklist[1].networkid": "b" }, /^iptonetworklist: .* another instance's/],
    [{ ...a, "iptonetworklist[0].ip": "10.2.0.1" }, /^iptonetworklist: .* outside/],
    [{ ...a, "iptonetworklist[0].ipv6": "fd00::2" }, /^iptonetworklist: .* outside/],
    [{ ...a, "iptonetworklist[0].ip": "fd00::2" }, /^iptonetworklist: its ip is not an IPv4/],
    [{ ...a, "iptonetworklist[0].ipv6": "10.1.1.8" }, /^iptonetworklist: its ipv6 is not an IPv6/],
    [{ ...a, "iptonetworklist[0].ip": "010.1.1.8" }, /^iptonetworklist: its ip is not an IPv4/],
    [{ ...a, "iptonetworklist[0].mac": "02:00" }, /^iptonetworklist: its mac is not a MAC/],
  ];
  for (const [params, said] of cases) {
    const { status, content } = await lab.ask("deployVirtualMachine", { ...LEAST, ...params });
    expect([params, status]).toEqual([params, 431]);
    expect(content.cserrorcode).toBe(4350);
    expect(content.errortext).toMatch(said);
  }
  // What another writer has taken between the answer and the job.
  const put = lab.store.put.bind(lab.store);
  const [first] = kept.records;
  lab.store.put = async (record, options) => {
    lab.store.put = put;
    await put({ ...(first?.record as InstanceRecord), id: "other", nics: record.nics });
    return put(record, options);
  };
  const late = { "iptonetworklist[0].networkid": "a", "iptonetworklist[0].ip": "10.1.1.10" };
  const { jobstatus, jobresult } = await lab.job("deployVirtualMachine", { ...LEAST, ...late });
  expect([jobstatus, jobresult]).toMatchObject([2, { errorcode: 431 }]);
  const ids = (await lab.store.list()).records.map(({ record }) => record.id);
  expect(ids.sort()).toEqual([first?.record.id, "other"].sort() as string[]);
  expect((await lab.store.documents("client-api-instance")).size).toBe(1);
});

test("what cannot be deployed is refused at once, and nothing is kept", async () => {
  const lab = openTestLab();
  await lab.done("deployVirtualMachine", { ...LEAST, ipaddress: "127.0.0.9" });
  const cases: readonly (readonly [params: Params, said: RegExp])[] = [
    [{ serviceofferingid: "" }, /serviceofferingid is missing/],
    [{ zoneid: "<script>" }, /^zoneid: there is no such thing/],
    [{ templateid: "x".repeat(300) }, /templateid is longer than 255/],
    [{ networkids: "nowhere" }, /^networkids: there is no such network/],
    [{ networkids: "," }, /networkids is not a list/],
    [{ ipaddress: "127.0.0.9" }, /^ipaddress: an address is another instance's/],
    [{ ipaddress: "10.0.0.1" }, /^ipaddress: an address is outside/],
    [{ ipaddress: "127.1" }, /ipaddress is not an IP address/],
    [{ macaddress: "02:00" }, /macaddress is not a MAC/],
    [{ name: "-web" }, /^name: it is no host name/],
    [{ name: `a${"b".repeat(63)}` }, /^name: it is no host name/],
    [{ name: "1web" }, /^name: it is no host name/],
    [{ displayname: "two\nlines" }, /displayname is not one line/],
    [{ startvm: "maybe" }, /startvm is not true or false/],
    [{ startvm: "constructor" }, /startvm is not true or false/],
    [{ keypair: "nobody" }, /^keypair: there is no key pair/],
    [{ userdataid: "nothing" }, /^userdataid: there is no such/],
    [{ password: "secret" }, /^password: the template has no password/],
    [{ userdata: "not base64!" }, /base64/],
    [{ "userdatadetails[0].instance-id": "x" }, /^userdatadetails: a name is a key/],
    [{ "userdatadetails[0].a/b": "x" }, /^userdatadetails: a name is not well/],
    [{ "userdatadetails[0].a": "1,b=2" }, /^userdatadetails: a value has a comma/],
    [{ "userdatadetails[x].a": "1" }, /userdatadetails must be/],
    [{ userdatadetails: "a" }, /userdatadetails must be/],
    [{ "details[0].SSH.PublicKey": "x" }, /^details: a name is one of/],
    [{ "details[0].a": "x".repeat(256) }, /details must be/],
  ];
  for (const [params, said] of cases) {
    const { status, content } = await lab.ask("deployVirtualMachine", { ...LEAST, ...params });
    expect([params, status]).toEqual([params, 431]);
    expect(content.cserrorcode).toBe(4350);
    expect(content.errortext).toMatch(said);
  }
  expect((await lab.store.list()).records.length).toBe(1);
});

/** A lab with networks of both families. */
async function withNetworks(): Promise<TestLab> {
  const lab = openTestLab();
  await lab.ok("listNetworks");
  await lab.store.putNetworks([
    { id: "a", cidrs: ["10.1.1.0/24"] },
    { id: "b", cidrs: ["fd00::/64"] },
    { id: "c", cidrs: ["10.3.0.0/16"] },
    { id: "d", cidrs: ["10.4.0.0/16", "fd01::/64"] },
  ]);
  return lab;
}

async function addressOf(lab: TestLab, id: unknown): Promise<string | undefined> {
  return (await lab.record(id))?.nics[0]?.addresses[0];
}
