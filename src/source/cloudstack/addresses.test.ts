import { expect, test } from "bun:test";
import { keysAt } from "../../model/record.ts";
import { address, fill, instance, nic } from "./example.ts";
import { mapped, never, only } from "./mapped.ts";
import { FakeApi } from "./testing.ts";

type Raw = Readonly<Record<string, unknown>>;

test("a NIC that has no address of its own borrows none from its neighbour", async () => {
  const bare = { isdefault: false, ip6address: "fd00::9" };
  const nics = [nic("net-isolated", "10.1.1.5"), nic("net-isolated", undefined, bare)];
  const { record } = await only({ instances: [instance("i-1", { nic: nics })] });
  const keys = new Map(keysAt(record, record.nics[1] ?? never()));
  expect(keys.get("local-ipv4")).toBe("");
  expect(keys.get("public-ipv4")).toBe("203.0.113.20");
});

test("the public address follows the topology", async () => {
  const nat = { isstaticnat: true, virtualmachineid: "i-1" };
  const at = (network: string, ip: string, more = {}): Raw => ({ nic: [nic(network, ip, more)] });
  const cases: readonly (readonly [string, Raw, readonly Raw[], readonly (string | null)[]])[] = [
    ["the router's", at("net-isolated", "10.1.1.5"), [], ["203.0.113.20", "203.0.113.20"]],
    ["the VPC's", at("net-tier", "10.2.1.5"), [], ["203.0.113.30", "203.0.113.30"]],
    ["none", at("net-project", "10.3.1.5"), [], []],
    ["its own", at("net-shared", "192.0.2.5"), [], ["192.0.2.5", "name-of-i-1"]],
    // A network that is not listed: the NIC says what it is.
    ["its own", at("net-x", "192.0.2.5", { type: "Shared" }), [], ["192.0.2.5", "name-of-i-1"]],
    [
      "static NAT's",
      at("net-isolated", "10.1.1.5"),
      [address("203.0.113.45", { ...nat, associatednetworkid: "net-isolated" })],
      ["203.0.113.45", "203.0.113.45"],
    ],
    [
      "static NAT's, known by the address it leads to",
      at("net-tier", "10.2.1.5", { secondaryip: [{ ipaddress: "10.2.1.6" }] }),
      [address("203.0.113.46", { ...nat, vpcid: "vpc-1", vmipaddress: "10.2.1.6" })],
      ["203.0.113.46", "203.0.113.46"],
    ],
    [
      "of two static NATs that of the primary address",
      at("net-isolated", "10.1.1.5", { secondaryip: [{ ipaddress: "10.1.1.6" }] }),
      ["6", "5"].map((last) =>
        address(`203.0.113.5${7 - Number(last)}`, {
          ...nat,
          associatednetworkid: "net-isolated",
          vmipaddress: `10.1.1.${last}`,
        }),
      ),
      ["203.0.113.52", "203.0.113.52"],
    ],
    [
      "not one that is being released, nor another network's",
      at("net-isolated", "10.1.1.5"),
      [
        address("203.0.113.47", {
          ...nat,
          associatednetworkid: "net-isolated",
          state: "Releasing",
        }),
        address("203.0.113.48", { ...nat, associatednetworkid: "net-tier" }),
      ],
      ["203.0.113.20", "203.0.113.20"],
    ],
  ];
  for (const [name, more, addresses, expected] of cases) {
    const { record } = await only({ instances: [instance("i-1", more)], addresses });
    const values = record.keys.filter(
      ([key]) => key.startsWith("public-") && key !== "public-keys",
    );
    expect([name, ...values.map(([, value]) => value)]).toEqual([name, ...expected]);
  }
});

test("an address that two instances claim is nobody's; one that is none is left out", async () => {
  const conflict = await mapped({ instances: [instance("i-1"), instance("i-2")] });
  expect(conflict.records.map(({ nics }) => nics[0]?.addresses)).toEqual([[], []]);
  expect(conflict.findings).toEqual(["address-conflict"]);
  const former = [instance("i-1", { state: "Expunging" }), instance("i-2")];
  expect((await only({ instances: former })).record.nics[0]?.addresses.length).toBe(1);
  const bad = [nic("net-isolated", "10.1.1.256", { macaddress: "none" })];
  const { record, findings } = await only({ instances: [instance("i-1", { nic: bad })] });
  expect(record.nics).toEqual([{ addresses: [], default: true }]);
  expect(findings).toEqual(["address-invalid", "address-invalid"]);
});

test("an address that no guest can have is left out, and not told", async () => {
  const cases: readonly (readonly [address: string, kept: readonly string[]])[] = [
    ["10.1.1.57", ["10.1.1.57"]],
    ["0.0.0.0", []],
    ["127.0.0.1", []],
    ["::1", []],
    ["::", []],
    ["169.254.169.254", []],
    ["169.254.0.9", []],
    ["::ffff:169.254.169.254", []],
    ["224.0.0.1", []],
    ["239.255.255.250", []],
    ["240.0.0.1", ["240.0.0.1"]],
    ["255.255.255.255", []],
    ["fe80::1", []],
    ["ff02::1", []],
    ["fd00::57", ["fd00::57"]],
  ];
  for (const [address, kept] of cases) {
    const places = address.includes(":")
      ? [nic("net-isolated", undefined, { ip6address: address })]
      : [
          nic("net-isolated", address),
          nic("net-isolated", undefined, { secondaryip: [{ ipaddress: address }] }),
        ];
    for (const one of places) {
      const { record, findings } = await only({ instances: [instance("i-1", { nic: [one] })] });
      const found = kept.length === 0 ? ["address-invalid"] : [];
      expect<unknown>([address, record.nics[0]?.addresses, findings]).toEqual([
        ...[address, kept, found],
      ]);
      expect(record.keys.map(([, value]) => value)).not.toContain(found.length > 0 ? address : "");
    }
  }
  // Nobody has it, so nobody claims it either.
  const nics = [nic("net-isolated", "127.0.0.1")];
  const both = [instance("i-1", { nic: nics }), instance("i-2", { nic: nics })];
  expect((await mapped({ instances: both })).findings).toEqual(["address-invalid"]);
});

test("an address of loopback is a guest's where its network is there", async () => {
  await using api = await FakeApi.open();
  fill(api.cloud);
  api.cloud.networks.push({ id: "net-lab", type: "Shared", cidr: "127.0.0.0/8" });
  const { records, findings } = await mapped(
    { instances: [instance("i-1", { nic: [nic("net-lab", "127.0.0.57")] })] },
    new Map(),
    api,
  );
  expect<unknown>(records[0]?.nics[0]?.addresses).toEqual(["127.0.0.57"]);
  expect(records[0]?.keys).toContainEqual(["local-ipv4", "127.0.0.57"]);
  expect(findings).toEqual([]);
});
