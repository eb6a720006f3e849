import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Ip } from "../../model/address.ts";
import type { KeyValue } from "../../model/binding.ts";
import { keysAt, toBindings } from "../../model/record.ts";
import { address, DOMAIN, fill, instance, nic, ZONE } from "./example.ts";
import { type Installation, nextInstallation } from "./incarnation.ts";
import { mapped, never, only } from "./mapped.ts";
import { FakeApi } from "./testing.ts";

const KEY = "ssh-ed25519 AAAA alice";
const ISOLATED = "fixtures/cloudstack/isolated/etc-cloudstack/vmdata.json";
const DOCUMENTED = "fixtures/cloudstack/api/listVirtualMachines.response.json";

type Entry = readonly [folder: string, name: string, value: string | null];

type Raw = Readonly<Record<string, unknown>>;

const bag =
  (JSON.parse(readFileSync(ISOLATED, "utf8")) as Record<string, Entry[]>)["10.1.1.57"] ?? [];
const documented: Raw =
  (
    JSON.parse(readFileSync(DOCUMENTED, "utf8")) as {
      listvirtualmachinesresponse: { virtualmachine: Raw[] };
    }
  ).listvirtualmachinesresponse.virtualmachine[0] ?? never();

/** What CloudStack sent its router under a name. */
function sent(name: string): string {
  return bag.find(([, key]) => key === name)?.[2] ?? never();
}

const IDENTIFIER = "CloudStack-{6f1c0000-0000-4000-8000-000000000001}";

test("an instance behind a router has CloudStack's keys in CloudStack's order", async () => {
  const { record } = await only({ instances: [instance("i-1")], userData: { "i-1": "aGk=" } });
  expect(keysAt(record, record.nics[0] ?? never())).toEqual([
    ["service-offering", "Small Instance"],
    ["availability-zone", "zone-ber-1"],
    ["local-ipv4", "10.1.1.57"],
    ["local-hostname", "name-of-i-1"],
    ["tier", "front"],
    ["public-ipv4", "203.0.113.20"],
    ["public-hostname", "203.0.113.20"],
    ["instance-id", "i-1"],
    ["vm-id", "i-1"],
    ["public-keys", KEY],
    ["cloud-identifier", IDENTIFIER],
    ["hypervisor-host-name", null],
  ]);
  expect(record).toMatchObject({
    network: "net-isolated",
    id: "i-1",
    name: "name-of-i-1",
    account: "acme",
    zone: "zone-ber-1",
    template: "Debian 12",
    nics: [{ mac: "02:00:5a:10:00:39", addresses: ["10.1.1.57"], default: true }],
    publicKeys: [KEY],
    incarnation: 1,
    epoch: 1,
  });
  expect(record.userData).toEqual(new Uint8Array(Buffer.from("hi")));
});

// Goal: a guest cannot tell whether its metadata came by the API or by the router's own files.
// Method: the same instance in both forms, mapped and compared.
test("the API says of an instance what CloudStack's router was sent", async () => {
  const { record } = await only({
    instances: [
      {
        ...documented,
        userdatadetails: "{tier=front, release=2026.3}",
        details: { "SSH.PublicKey": sent("public-keys") },
      },
    ],
    userData: { [String(documented.id)]: sent("user-data") },
    offerings: [{ id: documented.serviceofferingid, displaytext: sent("service-offering") }],
    addresses: [
      address(sent("public-ipv4"), {
        isstaticnat: true,
        virtualmachineid: documented.id,
        associatednetworkid: "4b4b4b4b-1111-4222-8333-aaaaaaaaaaaa",
      }),
    ],
    identifier: "6f1c2d4e-0b7a-4c53-9e58-1a2b3c4d5e6f",
  });
  const metadata = bag.filter(([folder]) => folder === "metadata");
  expect(keysAt(record, record.nics[0] ?? never())).toEqual(
    metadata.map(([, name, value]): KeyValue => [name, value]),
  );
  expect(record.userData).toEqual(new Uint8Array(Buffer.from(sent("user-data"), "base64")));
  expect(record.nics[0]?.addresses).toEqual(["10.1.1.57" as Ip]);
});

test("what the operator lets guests know comes last, in CloudStack's order", async () => {
  const { record } = await only({
    instances: [instance("i-1")],
    settings: {
      "global.allow.expose.host.hostname": "true",
      "account.allow.expose.host.hostname": "true",
      "metadata.allow.expose.domain": "true",
      "metadata.custom.cloud.name": "Acme Cloud",
    },
    accounts: [{ id: "a", name: "acme", domainid: DOMAIN }],
  });
  expect(record.keys.slice(-4)).toEqual([
    ["hypervisor-host-name", "kvm-7"],
    ["cloud-domain", "Acme"],
    ["cloud-domain-id", DOMAIN],
    ["cloud-name", "Acme Cloud"],
  ]);
});

test("a cloud's name that is blank is none", async () => {
  const settings = { "metadata.custom.cloud.name": " " };
  const { record } = await only({ instances: [instance("i-1")], settings });
  expect(record.keys.map(([name]) => name)).not.toContain("cloud-name");
});

test("an instance has one record for each network, and each NIC its own keys", async () => {
  const { records } = await mapped({
    instances: [
      instance("i-1", {
        nic: [
          nic("net-isolated", "10.1.1.5", {
            ip6address: "FD00::5",
            secondaryip: [{ id: "s", ipaddress: "10.1.1.6" }],
          }),
          nic("net-shared", "192.0.2.5", { isdefault: false }),
          nic("net-isolated", "10.1.1.7", { isdefault: false }),
          nic("net-l2", undefined, { isdefault: false, type: "L2" }),
        ],
      }),
    ],
  });
  expect(records.map(({ network }) => network)).toEqual(["net-isolated", "net-shared"]);
  const [isolated = never()] = records;
  expect(isolated.nics.map(({ addresses }) => addresses.join())).toEqual([
    "10.1.1.5,fd00::5,10.1.1.6",
    "10.1.1.7",
  ]);
  const bindings = toBindings(isolated, "test");
  const valueAt = (ip: string, name: string): string | null | undefined =>
    bindings.find((one) => one.address === ip)?.keys.find(([key]) => key === name)?.[1];
  for (const [ip, local] of [
    ["10.1.1.5", "10.1.1.5"],
    ["10.1.1.6", "10.1.1.5"],
    ["10.1.1.7", "10.1.1.7"],
  ] as const) {
    expect([ip, valueAt(ip, "local-ipv4")]).toEqual([ip, local]);
  }
  const names = (keys: readonly KeyValue[] = []): string[] => keys.map(([name]) => name);
  expect(names(bindings[3]?.keys)).toEqual(names(bindings[0]?.keys));
  expect(names(bindings[0]?.keys).slice(0, 5)).toEqual([
    "service-offering",
    "availability-zone",
    "local-ipv4",
    "local-hostname",
    "tier",
  ]);
});

test("an instance keeps its record while it can come back, also without an address", async () => {
  const states = ["Running", "Starting", "Stopping", "Stopped", "Migrating", "Unknown", "Novel"];
  const gone = ["Destroyed", "Expunging", "Expunged", "Error"];
  const instances = [...states, ...gone].map((state, at) =>
    instance(`i-${state}`, { state, nic: [nic("net-isolated", `10.1.1.${at + 2}`)] }),
  );
  const shared = { isdefault: true, type: "Shared" };
  instances.push(
    instance("i-shared", { state: "Stopped", nic: [nic("net-shared", undefined, shared)] }),
  );
  const { records, unsure } = await mapped({ instances });
  expect(records.map(({ id }) => id)).toEqual([...states.map((state) => `i-${state}`), "i-shared"]);
  expect(records.at(-1)?.nics[0]?.addresses).toEqual([]);
  expect(unsure).toEqual([]);
});

test("user data is served as it was given, or not at all", async () => {
  const gzip = gzipSync("#cloud-config\n");
  const cases: readonly (readonly [string | undefined, Uint8Array | undefined, string[]])[] = [
    [undefined, undefined, []],
    ["", undefined, []],
    [gzip.toString("base64"), new Uint8Array(gzip), []],
    ["aGk", new Uint8Array(Buffer.from("hi")), []],
    ["aG\nk=", new Uint8Array(Buffer.from("hi")), []],
    ["not base64!", undefined, ["user-data-invalid"]],
    ["A".repeat(1024 * 1024 + 4), undefined, ["user-data-too-large"]],
  ];
  for (const [text, bytes, kinds] of cases) {
    const userData = text === undefined ? {} : { "i-1": text };
    const { record, findings } = await only({ instances: [instance("i-1")], userData });
    expect(record.userData).toEqual(bytes);
    expect(findings).toEqual(kinds);
  }
});

test("several SSH keys are several, and none is a key without a value", async () => {
  const details = { "SSH.PublicKey": "ssh-rsa AAAA a \r\n\nssh-rsa BBBB b\n" };
  const several = await only({ instances: [instance("i-1", { details })] });
  expect(several.record.publicKeys).toEqual(["ssh-rsa AAAA a ", "ssh-rsa BBBB b"]);
  const none = { details: {}, keypairs: undefined };
  const { record, findings } = await only({ instances: [instance("i-1", none)] });
  expect(record.keys).toContainEqual(["public-keys", null]);
  expect(findings).toEqual([]);
  const hidden = await only({ instances: [instance("i-1", { details: undefined })] });
  expect(hidden.findings).toEqual(["keys-hidden"]);
});

test("names that are not served are left out; of two values the last counts", async () => {
  const userdatadetails = "{../x=1, ok=größe, instance-id=mine, local-ipv4=9.9.9.9, empty=}";
  const { record, findings } = await only({ instances: [instance("i-1", { userdatadetails })] });
  expect(record.keys.slice(2, 7)).toEqual([
    ["local-ipv4", "9.9.9.9"],
    ["local-hostname", "name-of-i-1"],
    ["ok", "gr\\u00F6\\u00DFe"],
    ["instance-id", "i-1"],
    ["public-ipv4", "203.0.113.20"],
  ]);
  expect(findings).toEqual(["key-refused"]);
});

test("an offering that is not listed is served by its name, and said", async () => {
  const more = { serviceofferingid: "gone" };
  const { record, findings } = await only({ instances: [instance("i-1", more)] });
  expect(record.keys[0]).toEqual(["service-offering", "small"]);
  expect(findings).toEqual(["offering-unknown"]);
});

test("what nobody can be sure of is left as it was", async () => {
  const instances = [
    instance("i-nameless", { name: "two\nlines" }),
    instance("i-stateless", { state: undefined }),
    instance("i-good", { nic: [nic("net-isolated", "10.1.1.9")] }),
  ];
  const { records, unsure, findings } = await mapped({ instances });
  expect(records.map(({ id }) => id)).toEqual(["i-good"]);
  expect([...unsure].sort()).toEqual(["i-nameless", "i-stateless"]);
  expect(findings).toEqual(["field-missing", "instance-unusable"]);
});

test("an installation is another when the root disk is, and only then", async () => {
  const steps: readonly (readonly [string | undefined, number])[] = [
    [undefined, 1],
    ["v-1", 1],
    ["v-1", 1],
    [undefined, 1],
    ["v-2", 2],
    [undefined, 2],
    ["v-3", 3],
  ];
  let last: Installation | undefined;
  for (const [disk, incarnation] of steps) {
    last = nextInstallation(last, disk);
    expect([disk, last.incarnation]).toEqual([disk, incarnation]);
  }
  // A store knows the number, and not the disk: the number stays until the disk is another.
  const stored = nextInstallation({ incarnation: 7, rootDisk: undefined }, "v-3");
  expect(stored.incarnation).toBe(7);
  expect(nextInstallation(stored, "v-4").incarnation).toBe(8);
});

test("restoring an instance raises the incarnation of its record", async () => {
  const before = await mapped({ instances: [instance("i-1")], disks: { "i-1": "v-1" } });
  const lists = { instances: [instance("i-1")], disks: { "i-1": "v-2" } };
  const after = await mapped(lists, before.installations);
  expect(after.records.map(({ incarnation }) => incarnation)).toEqual([2]);
});

test("networks have the whole range, not only what CloudStack gives away", async () => {
  await using api = await FakeApi.open();
  fill(api.cloud);
  api.cloud.networks.push({ id: "net-odd", type: "Shared", cidr: "10.9.0.0/24, junk,10.9.1.0/24" });
  const { networks } = await mapped({}, undefined, api);
  expect(networks.find(({ id }) => id === "net-shared")?.cidrs).toEqual(["192.0.2.0/24"]);
  expect(networks.find(({ id }) => id === "net-odd")?.cidrs).toEqual([
    "10.9.0.0/24",
    "10.9.1.0/24",
  ]);
  expect(networks[0]).toEqual({
    id: "net-isolated",
    cidrs: ["10.1.1.0/24"],
    dnsDomain: "cs1.example",
  });
});

test("the zone's name and the host's are escaped, the instance's id is not", async () => {
  const more = { zonename: "Köln", name: "größe", zoneid: ZONE };
  const { record } = await only({ instances: [instance("i-1", more)] });
  expect(record.keys[1]).toEqual(["availability-zone", "K\\u00F6ln"]);
  expect(record.keys[3]).toEqual(["local-hostname", "gr\\u00F6\\u00DFe"]);
  expect(record.name).toBe("größe");
});
