import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parseIp, parseMac } from "../../model/address.ts";
import { type Binding, KEY_NAME, type KeyValue } from "../../model/binding.ts";
import type { Network } from "../../model/change.ts";
import { UsageError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import { openFile } from "./file.ts";
import { toYaml } from "./write.ts";

const DIR = mkdtempSync(join(tmpdir(), "frontdesk-write-"));
const FILE = join(DIR, "lab.yaml");

afterAll(() => rmSync(DIR, { recursive: true }));

const NETWORK: Network = {
  id: "218",
  cidrs: ["10.1.1.0/24", "fd00::/64"],
  dnsDomain: "a.internal",
};

const WEB: Binding = {
  network: "218",
  address: parseIp("10.1.1.57"),
  mac: parseMac("02:00:5a:10:00:07"),
  epoch: 1,
  instance: "5d6a7f10",
  name: "web-01",
  keys: [
    ["service-offering", "Small Instance"],
    ["availability-zone", "zone-ber-1"],
    ["local-ipv4", "10.1.1.57"],
    ["local-hostname", "web-01"],
    ["tier", "front"],
    ["db-password", "hunter2"],
    ["public-ipv4", "203.0.113.45"],
    ["instance-id", "5d6a7f10"],
    ["vm-id", "5d6a7f10"],
    ["public-keys", "ssh-rsa AAAA alice\nssh-ed25519 BBBB bob"],
    ["cloud-identifier", "CloudStack-{6f1c}"],
    ["hypervisor-host-name", null],
  ],
  userData: new TextEncoder().encode("#cloud-config\npassword: hunter2\n"),
  origin: { kind: "databag", place: "vmdata.json" },
};
const WEB6: Binding = { ...WEB, address: parseIp("fd00::57") };
const DB: Binding = {
  ...WEB,
  address: parseIp("10.1.1.58"),
  instance: "8c9b0a1f",
  name: "db-01",
  epoch: 4,
  keys: [
    ["instance-id", "8c9b0a1f"],
    ["colour", ""],
  ],
  userData: new Uint8Array([0x1f, 0x8b, 0, 255]),
};

test("the file is one that a person would write", async () => {
  expect(await toYaml([WEB, WEB6, DB], [NETWORK], { mask: false })).toBe(`\
# Instances for: frontdesk router --source file:PATH
# Passwords are left out.

networks:
  - id: "218"
    cidrs: [10.1.1.0/24, fd00::/64]
    dnsDomain: a.internal
instances:
  - id: 5d6a7f10
    name: web-01
    nics:
      - mac: 02:00:5a:10:00:07
        addresses: [10.1.1.57, fd00::57]
    zone: zone-ber-1
    serviceOffering: Small Instance
    keys:
      - [tier, front]
      - [db-password, hunter2]
      - [public-ipv4, 203.0.113.45]
      - [cloud-identifier, "CloudStack-{6f1c}"]
      - [hypervisor-host-name, null]
    publicKeys:
      - ssh-rsa AAAA alice
      - ssh-ed25519 BBBB bob
    userData: |
      #cloud-config
      password: hunter2
  - id: 8c9b0a1f
    name: db-01
    nics:
      - mac: 02:00:5a:10:00:07
        addresses: [10.1.1.58]
    standardKeys: false
    keys:
      - [instance-id, 8c9b0a1f]
      - [colour, ""]
    userData:
      base64: H4sA/w==
    epoch: 4
`);
});

test("masked, no secret is left, and what is alike stays recognisable", async () => {
  const same: Binding = { ...DB, address: parseIp("10.1.1.59"), instance: "c" };
  const yaml = await toYaml([WEB, DB, same], [NETWORK], { mask: true });
  expect(yaml).not.toMatch(/hunter2|H4sA/);
  expect(yaml).toContain("- [db-password, masked]");
  expect(yaml.match(/# masked: .*/g)).toEqual([
    "# masked: user data 1, 32 bytes",
    "# masked: user data 2, 4 bytes",
    "# masked: user data 2, 4 bytes",
  ]);
  expect(yaml).toContain("ssh-rsa AAAA alice");
  expect((await read(yaml)).map(({ instance }) => instance)).toEqual([
    WEB.instance,
    DB.instance,
    "c",
  ]);
});

test("on loopback, each IPv4 address keeps its last three octets", async () => {
  const yaml = await toYaml([WEB, WEB6, DB], [NETWORK], { mask: true, loopback: true });
  const bindings = await read(yaml);
  expect(bindings.map(({ address, mac }) => `${address} ${mac}`)).toEqual([
    "127.1.1.57 undefined",
    "127.1.1.58 undefined",
  ]);
  expect(new Map(bindings[0]?.keys).get("local-ipv4")).toBe("127.1.1.57");
  expect(new Map(bindings[0]?.keys).get("public-ipv4")).toBe("203.0.113.45");
  expect(yaml).toContain("cidrs: [127.1.1.0/24]");
  expect(yaml).toContain("# Left out as well: 1 address that cannot be replayed.");
  const clash: Binding = { ...DB, network: "219", address: parseIp("11.1.1.57") };
  expect(toYaml([WEB, clash], [], { mask: true, loopback: true })).rejects.toThrow(UsageError);
});

test("what the file could not say is left out or named by a stand-in", async () => {
  const outside: Binding = { ...DB, address: parseIp("10.9.9.9") };
  const odd: Binding = { ...DB, instance: "a\nb", name: "" };
  const bindings = await read(await toYaml([WEB, outside, odd], [NETWORK], { mask: false }));
  expect(bindings.map(({ address, instance, name }) => `${address} ${instance} ${name}`)).toEqual([
    "10.1.1.57 5d6a7f10 web-01",
    "10.1.1.58 a?b unnamed",
  ]);
});

test("no bindings at all are a file too", async () => {
  expect(await read(await toYaml([], [], { mask: true }))).toEqual([]);
  expect(await read(await toYaml([], [NETWORK], { mask: true }))).toEqual([]);
});

test("user data of any shape survives, and each instance keeps its own", async () => {
  const texts = [
    " \n",
    "\n \n x",
    " a\n  b",
    "\t\n",
    "a\n\n",
    "a\n \nb",
    "# a",
    "a\r\nb",
    "",
    "\n",
  ];
  const { mac: _, ...guest } = WEB;
  const bindings = texts.map((text, index): Binding => {
    const address = parseIp(`10.1.1.${index + 1}`);
    const keys = WEB.keys.map(
      ([name, value]): KeyValue => [name, name === "local-ipv4" ? address : value],
    );
    return { ...guest, address, keys, userData: new TextEncoder().encode(text) };
  });
  const back = await read(await toYaml(bindings, [], { mask: false }));
  const decoded = back.map(({ userData }) => new TextDecoder().decode(userData as Uint8Array));
  expect(decoded).toEqual(texts);
});

// Goal: replaying an unmasked export answers every guest as the router did.
// Method: write random bindings, read them with the source itself, compare all but the origin.
test("what is written is read back as it was", async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom(
      "",
      " ",
      "\n",
      "a\n",
      "\na",
      " a",
      "a ",
      "- a",
      "# a",
      "a: b",
      "null",
      "7",
      "\r\n",
      "\t",
      "|",
      "\ud800",
      "\u0085",
      "\u2028",
      "\ufeff",
      "'",
      '"',
      "a\\b",
      "...",
      "---",
    ),
  );
  const lineText = text
    .map((value) => value.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ""))
    .filter((value) => value !== "");
  const standard = fc.constantFrom(
    "service-offering",
    "availability-zone",
    "local-ipv4",
    "local-hostname",
    "public-ipv4",
    "instance-id",
    "vm-id",
    "public-keys",
    "cloud-identifier",
  );
  const key = fc.tuple(
    fc.oneof(standard, fc.stringMatching(KEY_NAME)),
    fc.option(fc.oneof(text, fc.constant("10.0.0.1"))),
  );
  const keys = fc.oneof(
    fc.uniqueArray(key, { maxLength: 6, selector: ([name]) => name }),
    fc.constant(WEB.keys),
  );
  const body = fc.oneof(
    text.map((value) => new TextEncoder().encode(value)),
    fc.array(text, { maxLength: 5 }).map((lines) => new TextEncoder().encode(lines.join("\n"))),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
  );
  const binding = fc
    .record({
      network: fc.constantFrom("n1", "218"),
      address: fc
        .constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2")
        .map(parseIp),
      mac: fc.option(fc.constantFrom("02:00:00:00:00:01", "02:00:00:00:00:02").map(parseMac), {
        nil: undefined,
      }),
      epoch: fc.constantFrom(1, 1, 2, 77),
      instance: fc.oneof(fc.constantFrom("i-1", "i-2"), lineText),
      name: fc.oneof(fc.constant("web"), lineText),
      keys: keys as fc.Arbitrary<readonly KeyValue[]>,
      userData: fc.option(body, { nil: undefined }),
      like: fc.boolean(),
    })
    .map(({ mac, userData, like: _, ...rest }): Binding => {
      const origin = { kind: "file", place: FILE } as const;
      return {
        ...rest,
        ...(mac !== undefined && { mac }),
        ...(userData !== undefined && { userData }),
        origin,
      };
    });
  const all = fc
    .uniqueArray(binding, { maxLength: 6, selector: ({ address }) => address })
    .chain((bindings) =>
      // Half of them are one instance with several addresses.
      fc.boolean().map((alike) =>
        bindings.map((one) => {
          const { network, address, mac } = one;
          if (!alike) return one;
          const { mac: _, ...first } = bindings[0] ?? one;
          const keys = first.keys.map(
            ([name, value]): KeyValue => [name, name === "local-ipv4" ? address : value],
          );
          return { ...first, keys, network, address, ...(mac !== undefined && { mac }) };
        }),
      ),
    );
  const networks = fc.constantFrom<readonly Network[]>(
    [],
    [{ id: "218", cidrs: [] }],
    [
      { id: "n1", cidrs: [], dnsDomain: "x.y" },
      { id: "218", cidrs: ["10.0.0.0/8", "fd00::/64"] },
    ],
  );
  await fc.assert(
    fc.asyncProperty(all, networks, async (bindings, networks) => {
      const yaml = await toYaml(bindings, networks, { mask: false });
      expect(sorted(await read(yaml))).toEqual(sorted(bindings));
    }),
    { numRuns: 500 },
  );
});

function sorted(bindings: readonly Binding[]): Binding[] {
  const key = ({ network, address }: Binding): string => `${network} ${address}`;
  return [...bindings].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

async function read(yaml: string): Promise<Binding[]> {
  writeFileSync(FILE, yaml);
  utimesSync(FILE, 1, 1);
  const context = { conditions: new Conditions(() => 0), now: () => 0, firstStart: true };
  await using source = await openFile(FILE, context);
  const changes = await source.poll(new AbortController().signal);
  return changes.flatMap((change) => (change.kind === "put" ? [change.binding] : []));
}
