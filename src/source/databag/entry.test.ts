import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { type Ip, parseIp } from "../../model/address.ts";
import { KEY_NAME, type KeyValue } from "../../model/binding.ts";
import { type Content, hashOf, readContent } from "./entry.ts";
import { KEYS_MAX, VALUE_LENGTH_MAX } from "./limits.ts";

const ADDRESS = parseIp("10.1.1.57");

test("an entry of CloudStack's becomes keys in its order, and decoded user data", () => {
  const bag = JSON.parse(
    readFileSync("fixtures/cloudstack/isolated/etc-cloudstack/vmdata.json", "utf8"),
  );
  const content = readContent(bag["10.1.1.57"], ADDRESS);
  expect(content?.instance).toBe("5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a");
  expect(content?.name).toBe("web-01");
  expect(content?.keys.map(([name]) => name)).toEqual([
    "service-offering",
    "availability-zone",
    "local-ipv4",
    "local-hostname",
    "tier",
    "release",
    "public-ipv4",
    "public-hostname",
    "instance-id",
    "vm-id",
    "public-keys",
    "cloud-identifier",
    "hypervisor-host-name",
  ]);
  expect(content?.keys.at(-1)).toEqual(["hypervisor-host-name", null]);
  expect(Buffer.from(content?.userData as Uint8Array).toString()).toStartWith("#cloud-config\n");
  expect(content?.flaws).toBeUndefined();

  const gzip = readContent(bag["10.1.1.59"], parseIp("10.1.1.59"))?.userData as Uint8Array;
  expect([...gzip.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
  expect(readContent(bag["10.1.1.58"], parseIp("10.1.1.58"))?.userData).toBeUndefined();
});

test("values: null is kept, empty is absent, numbers and words are text", () => {
  checkKeys([["metadata", "a", null]], [["a", null]]);
  checkKeys([["metadata", "a", ""]], []);
  checkKeys([["metadata", "public-keys", ""]], [["public-keys", ""]]);
  checkKeys([["metadata", "a", 7]], [["a", "7"]]);
  checkKeys([["metadata", "a", false]], [["a", "false"]]);
  checkKeys([["metadata", "a", "x\r\n"]], [["a", "x\r\n"]]);
  checkKeys([["metadata", "user-data", "x"]], [["user-data", "x"]]);
});

test("of duplicate names the last wins, in the place of the first", () => {
  const items = [
    ["metadata", "a", "1"],
    ["metadata", "b", "2"],
    ["metadata", "a", "3"],
  ];
  checkKeys(items, [
    ["a", "3"],
    ["b", "2"],
  ]);
  checkKeys([...items, ["metadata", "a", ""]], [["b", "2"]]);
});

test("other folders are none of ours", () => {
  checkKeys([["password", "a", "1"]], []);
  checkKeys([["meta-data", "a", "1"]], []);
  checkKeys([["metadata", "", "1"]], []);
  expect(read([["user-data", "user-data", "QQ=="]])?.userData).toBeUndefined();
  expect(read([["userdata", "other", "QQ=="]])?.userData).toBeUndefined();
});

test("names and values that are not served are named, and nothing else is lost", () => {
  checkFlaws([["metadata", "../../etc", "x"]], '"../../etc"');
  checkFlaws([["metadata", ".hidden", "x"]], '".hidden"');
  checkFlaws([["metadata", "__proto__", "x"]], undefined);
  checkFlaws([["metadata", "a\nb", "x"]], '"a\\nb"');
  checkFlaws([["metadata", "x".repeat(65), "x"]], `"${"x".repeat(65)}"`);
  checkFlaws([["metadata", "x".repeat(5000), "x"]], `"${"x".repeat(80)}…"`);
  checkFlaws([["metadata", "a", { b: 1 }]], '"a" (not a text)');
  checkFlaws([["metadata", "a", [1]]], '"a" (not a text)');
  checkFlaws([["metadata", "a", "x".repeat(VALUE_LENGTH_MAX)]], undefined);
  checkFlaws([["metadata", "a", "x".repeat(VALUE_LENGTH_MAX + 1)]], '"a" (over 65536 characters)');
  const many = Array.from({ length: KEYS_MAX + 1 }, (_, i) => ["metadata", `k${i}`, "x"]);
  checkFlaws(many.slice(1), undefined);
  checkFlaws(many, '"k128" (over 128 keys)');
  expect(read(many)?.keys.length).toBe(KEYS_MAX);
});

test("who the instance is, is said by its id, else its old id, else its address", () => {
  const who = (...items: unknown[]): unknown => {
    const content = read(items);
    return [content?.instance, content?.name];
  };
  expect(who(["metadata", "instance-id", "i"], ["metadata", "vm-id", "v"])).toEqual(["i", "i"]);
  expect(who(["metadata", "instance-id", null], ["metadata", "vm-id", "v\n"])).toEqual(["v", "v"]);
  expect(who(["metadata", "local-hostname", "web\nx"])).toEqual(["address:10.1.1.57", "web"]);
  expect(who(["metadata", "local-hostname", "\nx"])).toEqual([
    "address:10.1.1.57",
    "address:10.1.1.57",
  ]);
});

test("user data: null and empty are none, what is no base64 is reported and none", () => {
  expect(read([["userdata", "user-data", null]])?.userData).toBeUndefined();
  expect(read([["userdata", "user-data", ""]])?.userData).toBeUndefined();
  expect(read([["userdata", "user-data", ""]])?.flaws).toBeUndefined();
  for (const bad of ["A", 7, [], true]) {
    const content = read([["userdata", "user-data", bad]]);
    expect(content?.userData).toBeUndefined();
    expect(content?.flaws).toEqual({ keys: undefined, userData: true });
  }
});

test("what is no list of [folder, file, contents] is no entry", () => {
  for (const value of [null, 1, "x", {}, [1], [[]], [["a", "b"]], [["a", "b", "c", "d"]]]) {
    expect(readContent(value, ADDRESS)).toBeUndefined();
  }
  for (const item of [[1, "b", "c"], ["a", null, "c"], { 0: "a", 1: "b", 2: "c", length: 3 }]) {
    expect(readContent([["metadata", "a", "1"], item], ADDRESS)).toBeUndefined();
  }
  expect(readContent([], ADDRESS)?.keys).toEqual([]);
});

test("contents have one hash if a guest sees no difference", () => {
  const items = [
    ["userdata", "user-data", "QUJD"],
    ["metadata", "a", "1"],
    ["metadata", "b", null],
  ];
  const content = read(items) as Content;
  expect(hashOf(content)).toBe(hashOf(read(items) as Content) as number);
  for (const [at, item] of [
    [0, ["userdata", "user-data", "QUJE"]],
    [0, ["userdata", "user-data", null]],
    [1, ["metadata", "a", "2"]],
    [1, ["metadata", "c", "1"]],
    [2, ["metadata", "b", "null"]],
    [2, ["metadata", "local-hostname", "x"]],
  ] as const) {
    const others = items.map((old, i) => (i === at ? item : old));
    expect(hashOf(content)).not.toBe(hashOf(read(others as unknown[]) as Content) as number);
  }
});

test("any JSON value makes an entry or none, and only names that may be served", () => {
  const item = fc.tuple(
    fc.constantFrom("metadata", "userdata", "other"),
    fc.oneof(fc.string(), fc.constantFrom("user-data", "instance-id", "__proto__", "a")),
    fc.jsonValue(),
  );
  const value = fc.oneof(fc.jsonValue(), fc.array(item), fc.array(fc.oneof(item, fc.jsonValue())));
  fc.assert(
    fc.property(value, (json) => {
      const content = readContent(json, ADDRESS);
      for (const [name, text] of content?.keys ?? []) {
        expect(name).toMatch(KEY_NAME);
        expect(text === null || typeof text === "string").toBe(true);
      }
    }),
  );
});

function read(items: readonly unknown[], address: Ip = ADDRESS): Content | undefined {
  return readContent(items, address);
}

function checkKeys(items: readonly unknown[], expected: readonly KeyValue[]): void {
  expect(read(items)?.keys).toEqual(expected);
}

function checkFlaws(items: readonly unknown[], expected: string | undefined): void {
  const content = read([...items, ["metadata", "instance-id", "i"]].slice(-KEYS_MAX - 2));
  const alone = read(items);
  expect(alone?.flaws?.keys).toBe(expected as string);
  if (items.length === 1) expect(content?.instance).toBe("i");
}
