/** What a record says of its keys and addresses, when two are equal, and which are refused. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Body, KeyValue } from "./binding.ts";
import type { RecordError } from "./errors.ts";
import {
  addressesOf,
  equal,
  type InstanceRecord,
  isSealed,
  keysAt,
  passwordAddress,
  sealed,
  toBindings,
  unsealed,
} from "./record.ts";
import { RECORD_ADDRESSES_MAX } from "./record-limits.ts";
import { isReadableFormat, parseRecord, RECORD_FORMAT } from "./record-parse.ts";

const WHOLE = {
  network: "204",
  id: "i-1",
  name: "web-01",
  zone: "zone-ber-1",
  nics: [
    { mac: "02:00:5A:10:00:07", addresses: ["10.1.1.57", "fd00:0::57"], default: true },
    { addresses: ["10.1.1.58"], default: false, keys: [["local-ipv4", "10.1.1.58"]] },
  ],
  keys: [
    ["local-ipv4", "10.1.1.57"],
    ["public-keys", null],
    ["instance-id", "i-1"],
  ],
  userData: new Uint8Array([35, 33]),
  publicKeys: ["ssh-ed25519 AAAA a@b", "ssh-ed25519 BBBB c@d"],
  password: { id: "s-1", password: "fN7xvQ2p" },
  incarnation: 2,
  epoch: 7,
};
const hash = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("each address of each NIC answers, with the NIC's own keys in their places", () => {
  const bindings = toBindings(parseRecord(WHOLE), "lab");
  const common = { network: "204", instance: "i-1", name: "web-01", epoch: 7 };
  const origin = { kind: "store", place: "lab" };
  const keys = (ip: string): KeyValue[] => [
    ["local-ipv4", ip],
    ["public-keys", "ssh-ed25519 AAAA a@b\nssh-ed25519 BBBB c@d"],
    ["instance-id", "i-1"],
  ];
  const first = { ...common, mac: "02:00:5a:10:00:07", keys: keys("10.1.1.57"), origin };
  expect(bindings.map((binding) => ({ ...binding, userData: undefined }))).toEqual([
    { ...first, address: "10.1.1.57" },
    { ...first, address: "fd00::57" },
    { ...common, address: "10.1.1.58", keys: keys("10.1.1.58"), origin },
  ] as never);
  expect(bindings.every(({ userData }) => userData?.length === 2)).toBe(true);
});

test("of the payloads that a record names, those are shown whose content is at hand", () => {
  const ref = { sha256: "a".repeat(64), bytes: 3 };
  const payload = { sha256: "b".repeat(64), bytes: 3, parts: [new Uint8Array(3)] };
  const shown = (payloads: InstanceRecord["payloads"]) =>
    toBindings({ ...parseRecord(WHOLE), ...(payloads && { payloads }) }, "lab");
  for (const { payloads } of shown([ref, payload])) expect(payloads).toEqual([payload]);
  for (const binding of shown([ref])) expect(binding).not.toHaveProperty("payloads");
  expect(parseRecord({ ...WHOLE, payloads: [payload] }).payloads).toEqual([
    { sha256: payload.sha256, bytes: 3 },
  ]);
});

test("a NIC's key replaces in place, and one that is new comes last", () => {
  const check = (keys: unknown, own: unknown, expected: unknown, publicKeys: string[] = []) => {
    const nics = [{ addresses: [], keys: own }];
    const record = parseRecord({ ...WHOLE, nics, keys, publicKeys });
    expect(record.nics.map((nic) => keysAt(record, nic))).toEqual([expected] as never);
  };
  const place = [
    ["public-ipv4", ""],
    ["vm-id", "1"],
  ];
  check(place, [], place);
  check(
    place,
    [["public-ipv4", "203.0.113.1"]],
    [
      ["public-ipv4", "203.0.113.1"],
      ["vm-id", "1"],
    ],
  );
  check(place, [["own", null]], [...place, ["own", null]]);
  check(place, [], [...place, ["public-keys", "k"]], ["k"]);
});

test("what is sealed has its keys and nothing else, until it is installed anew", () => {
  const open = parseRecord(WHOLE);
  const closed = parseRecord(sealed(open));
  expect(toBindings(closed, "lab")).toEqual(
    toBindings(open, "lab").map(({ userData: _, ...rest }) => ({ ...rest, sealed: true as const })),
  );
  const payloads = [{ sha256: "a".repeat(64), bytes: 1, parts: [new Uint8Array(1)] }];
  expect(toBindings({ ...open, payloads }, "lab")[0]).toMatchObject({ payloads });
  expect(toBindings({ ...closed, payloads }, "lab")[0]?.payloads).toBeUndefined();
  expect(passwordAddress(closed)).toBeUndefined();
  expect([open, closed].map(isSealed)).toEqual([false, true]);
  for (const again of [{ ...closed, incarnation: closed.incarnation + 1 }, unsealed(closed)]) {
    expect(isSealed(again)).toBe(false);
    expect(toBindings(again, "lab")).toEqual(toBindings(open, "lab"));
    expect(passwordAddress(again)).toBe(passwordAddress(open));
  }
  expect(equal(open, closed, hash)).toBe(false);
  expect(equal(open, unsealed(closed), hash)).toBe(true);
  for (const wrong of [0, 1.5, "2", true, null]) {
    expect(() => parseRecord({ ...WHOLE, sealedIncarnation: wrong })).toThrow("sealedIncarnation");
  }
});

test("a password goes to the default NIC, over IPv4 where it can", () => {
  const check = (nics: unknown, expected: string | undefined) =>
    expect(passwordAddress(parseRecord({ ...WHOLE, nics }))).toBe(expected as never);
  check([], undefined);
  check([{ addresses: ["fd00::1", "10.1.1.1"] }], "10.1.1.1");
  check([{ addresses: ["fd00::1"] }], "fd00::1");
  check([{ addresses: ["10.1.1.1"] }, { addresses: ["10.1.1.2"], default: true }], "10.1.1.2");
});

test("what is parsed is parsed again as it is, and unknown fields are left out", () => {
  const record = parseRecord({ ...WHOLE, colour: "blue" });
  expect(record).not.toHaveProperty("colour");
  expect(parseRecord(record)).toEqual(record);
  expect(parseRecord(JSON.parse(JSON.stringify({ ...record, userData: undefined })))).toEqual({
    ...record,
    userData: undefined,
  } as never);
});

test("all NICs of a record have so many addresses together, and no more", () => {
  const nics = (count: number) =>
    Array.from({ length: Math.ceil(count / 256) }, (_, nic) => ({
      addresses: Array.from({ length: Math.min(256, count - nic * 256) }, (_, at) => {
        return `10.1.${nic}.${at}`;
      }),
    }));
  const most = parseRecord({ ...WHOLE, nics: nics(RECORD_ADDRESSES_MAX) });
  expect(addressesOf(most)).toHaveLength(RECORD_ADDRESSES_MAX);
  check({ nics: nics(RECORD_ADDRESSES_MAX + 1) }, "nics");
});

test("a record that is wrong is refused, by the name of the field", () => {
  check({ network: "../x" }, "network");
  check({ id: "" }, "id");
  check({ name: "two\nlines" }, "name");
  check({ zone: 7 }, "zone");
  check({ nics: undefined }, "nics");
  check({ nics: [{ addresses: ["10.1.1.057"] }] }, "nics[0].addresses[0]");
  check({ nics: [{ addresses: [], mac: "02-00" }] }, "nics[0].mac");
  check({ nics: [{ addresses: ["10.1.1.1"] }, { addresses: ["10.1.1.1"] }] }, "nics");
  check({ nics: [1, 2].map(() => ({ addresses: [], default: true })) }, "nics");
  check({ keys: [["a/b", "1"]] }, "keys[0]");
  check({ keys: [["a"]] }, "keys[0]");
  check({ keys: [1, 2].map(() => ["a", "1"]) }, "keys[1]");
  check({ keys: [["a", 1]] }, "keys[0]");
  for (const character of "\n\r\u0000\u001b\u007f\u0085\u2028\u2029") {
    check({ publicKeys: ["ssh-rsa AAAA\ta", `a${character}b`] }, "publicKeys[1]");
  }
  check({ userData: "text" }, "userData");
  check({ userData: new Uint8Array(1024 * 1024 + 1) }, "userData");
  check({ password: { id: "s", password: "" } }, "password.password");
  check({ password: { id: "s/1", password: "x" } }, "password.id");
  const ref = { sha256: "a".repeat(64), bytes: 1 };
  check({ payloads: [{ ...ref, sha256: "A".repeat(64) }] }, "payloads[0].sha256");
  check({ payloads: [{ ...ref, bytes: 16 * 1024 * 1024 + 1 }] }, "payloads[0].bytes");
  check({ payloads: [ref, ref] }, "payloads[1]");
  check({ payloads: Array(9).fill(ref) }, "payloads");
  check({ epoch: 0 }, "epoch");
  check({ incarnation: 1.5 }, "incarnation");
});

test("what is wrong is said in words, not as a pattern", () => {
  const line = "must be one line of text without control characters";
  const secret = (changed: object) => ({ password: { id: "s", password: "x", ...changed } });
  const cases: readonly (readonly [changed: object, message: string])[] = [
    [{ name: "a\nb" }, `name: ${line}`],
    [{ zone: "a\u0000" }, `zone: ${line}`],
    [{ id: "" }, "id: is empty"],
    [
      { network: "a b" },
      "network: must be letters, digits, dots, dashes and underscores, a letter or digit first",
    ],
    [{ publicKeys: ["a\nb"] }, "publicKeys[0]: must be one line without control characters"],
    [
      secret({ password: "a\nb" }),
      "password.password: must be one line without control characters",
    ],
    [
      secret({ id: "a b" }),
      "password.id: must have letters, digits, dot, dash and underscore only",
    ],
    [
      { payloads: [{ sha256: "x", bytes: 1 }] },
      "payloads[0].sha256: must be 64 hexadecimal digits in lower case",
    ],
  ];
  for (const [changed, message] of cases) {
    expect(refused({ ...WHOLE, ...changed })?.message).toBe(message);
  }
});

test("no secret stands in what is said of a record", () => {
  const secret = "hunter2\u0007";
  const message = refused({ ...WHOLE, password: { id: "s", password: secret } })?.message;
  expect(message).toContain("password.password");
  expect(message).not.toContain("hunter2");
});

test("anything at all is a record or a RecordError", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...Object.keys(WHOLE)), fc.anything()), (fields) => {
      expect(["RECORD_INVALID", undefined]).toContain(refused({ ...WHOLE, ...fields })?.code);
    }),
  );
});

test("two records are equal when every field is, wherever the user data lies", () => {
  const record = parseRecord(WHOLE);
  const stored = (bytes: number[]): Body => ({
    length: bytes.length,
    hash: hash(Uint8Array.from(bytes)),
    read: () => Promise.reject(new Error("it is not read")),
  });
  const check = (changed: Partial<InstanceRecord>, expected: boolean) =>
    expect(equal({ ...record, ...changed }, record, hash)).toBe(expected);
  check({}, true);
  check({ userData: stored([35, 33]) }, true);
  check({ userData: stored([35, 34]) }, false);
  check({ userData: new Uint8Array() }, false);
  check({ nics: [...record.nics] }, true);
  check({ nics: record.nics.slice(1) }, false);
  check({ keys: [...record.keys].reverse() }, false);
  check({ publicKeys: [] }, false);
  check({ epoch: 8 }, false);
  check({ account: "acme" }, false);
  const { userData: _, ...without } = record;
  expect(equal(without, record, hash)).toBe(false);
});

test("formats one older and one newer are read", () => {
  const formats = [RECORD_FORMAT - 2, RECORD_FORMAT - 1, RECORD_FORMAT, RECORD_FORMAT + 1];
  expect(formats.map(isReadableFormat)).toEqual([false, true, true, true]);
  expect([RECORD_FORMAT + 2, "1", undefined].map(isReadableFormat)).toEqual([false, false, false]);
});

function check(changed: object, field: string): void {
  expect(refused({ ...WHOLE, ...changed })?.field).toBe(field);
}

function refused(value: unknown): RecordError | undefined {
  try {
    parseRecord(value);
    return undefined;
  } catch (error) {
    return error as RecordError;
  }
}
