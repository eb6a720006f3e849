import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { CloudStackError } from "../../model/errors.ts";
import { parseRecord } from "../../model/record-parse.ts";
import type { Fields } from "./answer.ts";
import { type Api, CloudStackClient } from "./client.ts";
import type { Cloud, Instance } from "./cloud.ts";
import { address, DOMAIN, fill, instance, nic, ZONE } from "./example.ts";
import {
  INSTANCE,
  NETWORK,
  NIC,
  OFFERING,
  PUBLIC_ADDRESS,
  readItem,
  type Table,
  VOLUME,
} from "./fields.ts";
import { Findings } from "./findings.ts";
import { networksOf } from "./networks.ts";
import { readCloud } from "./read-cloud.ts";
import { recordsOf } from "./records.ts";
import { errorFault, FakeApi, KEYS, SIGNAL } from "./testing.ts";

const FIXTURES = "fixtures/cloudstack";

test("every needed field is in the answers that were recorded", () => {
  const machines = recorded("VirtualMachineService.json", "listVirtualMachines");
  const networks = recorded("NetworkService.json", "listNetworks").listnetworksresponse as Fields;
  const inner = machines.listVirtualMachines as Fields;
  for (const raw of inner.virtualmachine as Fields[]) {
    expect(lacks(INSTANCE, raw)).toEqual([]);
    for (const one of raw.nic as Fields[]) expect(lacks(NIC, one)).toEqual([]);
  }
  for (const raw of networks.network as Fields[]) expect(lacks(NETWORK, raw)).toEqual([]);
  const made = recorded("ServiceOfferingService.json", "createServiceOffering");
  const { serviceoffering } = made.createserviceofferingresponse as { serviceoffering: Fields };
  expect(lacks(OFFERING, serviceoffering)).toEqual([]);
});

test("the text of an SSH key is where the recorded answer has it", () => {
  const { jobresult } = recorded("SSHService.json", "resetSSHKeyForVirtualMachine")
    .resetSSHKeyforvirtualmachineresponse as { jobresult: { virtualmachine: Fields } };
  const { details } = readItem(INSTANCE, jobresult.virtualmachine, () => {});
  expect(details?.["SSH.PublicKey"]).toStartWith("ssh-rsa AAAAB3");
});

test("the documented answers are read without a finding, whole", async () => {
  const answer = (name: string): Fields =>
    JSON.parse(readFileSync(`${FIXTURES}/api/${name}.response.json`, "utf8")) as Fields;
  const machines = answer("listVirtualMachines").listvirtualmachinesresponse as Fields;
  const api: Api = {
    read: async (command) => {
      if (command === "listVirtualMachines") return machines;
      if (command === "getVirtualMachineUserData") {
        return answer(command).getvirtualmachineuserdataresponse as Fields;
      }
      if (command === "getUser") return { user: { id: "u" } };
      return command === "getCloudIdentifier" ? { cloudidentifier: { cloudidentifier: "c" } } : {};
    },
  };
  const findings = new Findings();
  const cloud = await readCloud({ api, apiKey: "k", findings, signal: SIGNAL });
  expect(cloud.instances.length).toBe(1);
  expect(textOf(cloud.instances[0])).toStartWith("#cloud-config");
  // The example names a key pair and has no details.
  expect(findings.list().map(({ kind }) => kind)).toEqual(["keys-hidden"]);
});

test("a cloud is read whole: projects too, with user data, keys, disks and settings", async () => {
  await using lab = await Lab.open();
  const { cloud: lists } = lab.api;
  lists.instances.push(instance("i-1"), instance("i-2", { projectid: "p-1", project: "apollo" }));
  lists.userData.set("i-1", "I2Nsb3VkLWNvbmZpZwo=");
  lists.volumes.push(
    { id: "v-old", virtualmachineid: "i-1", state: "Destroy" },
    { id: "v-1", virtualmachineid: "i-1", state: "Ready" },
    { id: "v-2", virtualmachineid: "i-2" },
    { id: "v-3", virtualmachineid: "i-2" },
    { id: "v-4" },
  );
  lists.settings.set(`metadata.allow.expose.domain@${DOMAIN}`, "true");
  lists.settings.set("metadata.custom.cloud.name", " ");
  lists.settings.set(`metadata.custom.cloud.name@${ZONE}`, "Acme Cloud");
  lists.settings.set("global.allow.expose.host.hostname", "true");
  lists.settings.set("account.allow.expose.host.hostname@a-1", "true");
  lists.accounts.push({ id: "a-1", name: "acme", domainid: DOMAIN });
  lists.accounts.push({ id: "a-2", name: "acme", domainid: "another" });
  const cloud = await lab.read();
  expect(cloud.instances.map(({ id, project }) => [id, project])).toEqual([
    ["i-1", undefined],
    ["i-2", "apollo"],
  ]);
  expect(cloud.complete).toBe(true);
  expect(textOf(cloud.instances[0])).toBe("#cloud-config\n");
  expect(cloud.instances[0]?.publicKeys).toBe("ssh-ed25519 AAAA alice");
  expect([...cloud.networks.keys()]).toContain("net-project");
  expect(cloud.identifier).toBe(lists.identifier);
  // Of two disks nobody can say which it is.
  expect([...cloud.rootDisks]).toEqual([["i-1", "v-1"]]);
  const accountids = lab.api.asked.map(({ params }) => params.accountid);
  expect(accountids.filter((id) => id !== undefined)).toEqual(["a-1"]);
  expect([...cloud.exposed.hosts]).toEqual([`${DOMAIN}/acme`]);
  expect([...cloud.exposed.domains]).toEqual([DOMAIN]);
  expect([...cloud.exposed.cloudNames]).toEqual([[ZONE, "Acme Cloud"]]);
  expect(lab.said()).toEqual([]);
  expect(JSON.stringify([...cloud.instances])).not.toContain("never-kept");
  expect(lab.api.count("getVirtualMachineUserData")).toBe(0);
});

test("projects are listed where there are any, or where nobody can say", async () => {
  const cases: readonly (readonly [boolean, boolean, number])[] = [
    [false, false, 1],
    [true, false, 2],
    [false, true, 2],
  ];
  for (const [hasProject, forbidden, lists] of cases) {
    await using lab = await Lab.open();
    lab.api.cloud.networks.length = 0;
    lab.api.cloud.instances.push(instance("i-1", hasProject ? { projectid: "p-1" } : {}));
    if (forbidden) lab.api.forbidden.add("listProjects");
    expect((await lab.read()).instances.length).toBe(1);
    expect(lab.api.count("listVirtualMachines")).toBe(lists);
    expect(lab.said()).toEqual([]);
  }
});

test("before 4.18 user data is asked for one by one, and an instance may go meanwhile", async () => {
  await using lab = await Lab.open();
  const { cloud: lists } = lab.api;
  lists.version = "4.17.2.0";
  lists.instances.push(...["i-1", "i-2", "i-3"].map((id) => instance(id)));
  lists.userData.set("i-2", "AA==");
  lab.api.fail("getVirtualMachineUserData", errorFault(431, "no such instance", 4350));
  const cloud = await lab.read();
  expect(cloud.instances.map(textOf)).toContain("\0");
  expect(lab.api.count("getVirtualMachineUserData")).toBe(3);
  lab.api.forbidden.add("getVirtualMachineUserData");
  await lab.read();
  expect(lab.said()).toEqual([
    "getVirtualMachineUserData: the API keys may not use a command; it is needed for user-data",
  ]);
});

test("what the API keys may not use is a finding that names what suffers", async () => {
  const cases: readonly (readonly [string, string, (cloud: Cloud) => unknown])[] = [
    ["listPublicIpAddresses", "public-ipv4, public-hostname", (cloud) => cloud.publicAddresses],
    ["listServiceOfferings", "service-offering", (cloud) => [...cloud.offerings][0]],
    ["listNetworks", "public-ipv4, public-hostname", (cloud) => [...cloud.networks][0]],
    ["getUser", "cloud-identifier", (cloud) => cloud.identifier],
    ["getCloudIdentifier", "cloud-identifier", (cloud) => cloud.identifier],
    [
      "listConfigurations",
      "hypervisor-host-name, cloud-domain, cloud-domain-id, cloud-name",
      (cloud) => [...cloud.exposed.domains][0],
    ],
  ];
  for (const [command, keys, missing] of cases) {
    await using lab = await Lab.open();
    lab.api.cloud.instances.push(instance("i-1"));
    lab.api.cloud.settings.set("metadata.allow.expose.domain", "true");
    lab.api.forbidden.add(command);
    const cloud = await lab.read();
    expect(missing(cloud)).toBeUndefined();
    expect(lab.said()).toEqual([
      `${command}: the API keys may not use a command; it is needed for ${keys}`,
    ]);
  }
});

test("without its main list, or with half of another, there is no cloud", async () => {
  const cases = [
    ["listVirtualMachines", errorFault(432, "no"), "CLOUDSTACK_FORBIDDEN"],
    ["listNetworks", errorFault(401, "no"), "CLOUDSTACK_KEYS"],
    ["listVolumes", { status: 200, body: "<html>" }, "CLOUDSTACK_ADDRESS"],
  ] as const;
  for (const [command, fault, code] of cases) {
    await using lab = await Lab.open();
    lab.api.fail(command, fault);
    const error = await lab.read().catch((error: unknown) => error);
    expect(error instanceof CloudStackError && error.code).toBe(code);
  }
});

test("a needed field that is missing is a finding that names it; others do not matter", async () => {
  await using lab = await Lab.open();
  const { instances } = lab.api.cloud;
  for (let at = 0; at < 7; at++) instances.push(instance(`i-${at}`, { zonename: undefined }));
  instances.push(instance("i-7", { nic: [nic("net-isolated", "10.1.1.7", { macaddress: 7 })] }));
  instances.push(instance("i-8", { novelty: { of: ["a", "later", "release"] } }));
  const cloud = await lab.read();
  expect(cloud.instances.filter(({ usable }) => usable).map(({ id }) => id)).toEqual([
    "i-7",
    "i-8",
  ]);
  expect(lab.said()).toEqual([
    "listVirtualMachines.zonename: the API's answer lacks a field " +
      "(7 cases: i-0, i-1, i-2, i-3, i-4, …); it is needed for availability-zone" +
      "; these are left out, or stay as they were known",
  ]);
});

test("an instance that is known and not listed is looked for", async () => {
  await using lab = await Lab.open();
  const { cloud: lists } = lab.api;
  lists.instances.push(instance("i-1"), instance("i-2"));
  const hidden = lists.instances.pop();
  // It comes back between the list and the question.
  lab.api.fail("listVirtualMachines", {}, { before: () => lists.instances.push(hidden ?? {}) });
  const cloud = await lab.read(new Set(["i-1", "i-2", "i-9"]));
  expect(cloud.instances.map(({ id }) => id).sort()).toEqual(["i-1", "i-2"]);
  expect(cloud.complete).toBe(true);
});

test("when many are gone at once the list is read again instead", async () => {
  await using lab = await Lab.open();
  lab.api.cloud.instances.push(instance("i-1"));
  const known = Array.from({ length: 500 }, (_, at) => `gone-${at}`);
  await lab.read(new Set(known));
  expect(lab.api.count("listVirtualMachines")).toBe(4);
});

test("static NAT and the addresses of networks are read with what they lead to", async () => {
  await using lab = await Lab.open();
  const more = { isstaticnat: true, virtualmachineid: "i-1", vmipaddress: "10.1.1.57" };
  lab.api.cloud.publicAddresses.push(address("203.0.113.45", more));
  const { publicAddresses } = await lab.read();
  expect(publicAddresses?.find(({ isstaticnat }) => isstaticnat)).toMatchObject(more);
});

// Goal: nothing that an API answers is a bug of ours.
// Method: answers with our fields and any values, read and mapped; then each record is valid again.
test("whatever the API answers, it ends in records, findings or an error that is known", async () => {
  const tables = [INSTANCE, NIC, NETWORK, OFFERING, PUBLIC_ADDRESS, VOLUME];
  const names = tables.flatMap((table) => Object.keys(table));
  const value = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom("i", "net", "10.1.1.5", "Shared", "{a=1}", true, "AA=="),
    },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  );
  const thing = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: names.length });
  const whole = fc.tuple(thing, fc.array(thing, { maxLength: 2 })).map(([one, nics]) => ({
    ...instance("i"),
    ...one,
    ...(nics.length > 0 && { nic: nics }),
  }));
  const answers = fc.record({
    machines: fc.array(whole, { maxLength: 3 }),
    others: fc.array(thing),
  });
  await fc.assert(
    fc.asyncProperty(answers, async ({ machines, others }) => {
      const items = ["network", "publicipaddress", "serviceoffering", "volume"];
      const api: Api = {
        read: async (command) =>
          command === "listVirtualMachines"
            ? { count: machines.length, virtualmachine: machines }
            : { count: others.length, ...Object.fromEntries(items.map((item) => [item, others])) },
      };
      const findings = new Findings();
      const cloud = await readCloud({ api, apiKey: "k", findings, signal: SIGNAL });
      for (const { records } of recordsOf(cloud, new Map(), findings)) {
        for (const record of records ?? []) expect(parseRecord(record)).toEqual(record);
      }
      networksOf(cloud);
      for (const { text } of findings.list()) expect(text).toMatch(/^\w[^:]*: /);
    }),
    { numRuns: 300 },
  );
});

class Lab implements AsyncDisposable {
  readonly api: FakeApi;
  readonly #client: CloudStackClient;
  #findings = new Findings();

  constructor(api: FakeApi) {
    this.api = api;
    fill(api.cloud);
    this.#client = new CloudStackClient({ endpoint: api.url, credentials: KEYS });
  }

  static async open(): Promise<Lab> {
    return new Lab(await FakeApi.open());
  }

  async read(known?: ReadonlySet<string>): Promise<Cloud> {
    this.#findings = new Findings();
    const { apiKey } = KEYS;
    const reader = { api: this.#client, apiKey, findings: this.#findings, signal: SIGNAL };
    return readCloud(reader, known);
  }

  said(): string[] {
    return this.#findings.list().map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    await this.api[Symbol.asyncDispose]();
  }
}

function recorded(file: string, command: string): Fields {
  const all = JSON.parse(readFileSync(`${FIXTURES}/api-recorded/${file}`, "utf8")) as Fields;
  return all[command] as Fields;
}

function lacks(table: Table, raw: Fields): string[] {
  const missing: string[] = [];
  readItem(table, raw, (field) => missing.push(field));
  return missing;
}

function textOf(instance: Instance | undefined): string | undefined {
  const { userData } = instance ?? {};
  return userData instanceof Uint8Array ? new TextDecoder().decode(userData) : userData;
}
