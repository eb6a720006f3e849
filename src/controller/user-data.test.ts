import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserDataError } from "../model/errors.ts";
import { USER_DATA_CHARS_MAX } from "../source/cloudstack/limits.ts";
import {
  base64Chars,
  checkUserData,
  decodeUserData,
  USER_DATA_CHARS_DEFAULT,
  type UserDataRules,
} from "./user-data.ts";

const SECRET = "s3cr3t";

test("takes base64 as CloudStack does", () => {
  const cases: readonly (readonly [given: string, bytes: string | undefined])[] = [
    ["", undefined],
    ["aGVsbG8=", "hello"],
    ["aGVsbG8", "hello"],
    ["aGVs\nbG8=\n", "hello"],
    [" aGVs\tbG8=\r\n", "hello"],
    ["aGVsbG8%3D", "hello"],
    ["aGVsbG8%3d%0A", "hello"],
    ["Pz8/Pj4+", "???>>>"],
    ["Pz8_Pj4-", "???>>>"],
    ["Pz8/Pj4%2B", "???>>>"],
    ["Pz8/Pj4+%0A", "???>>>"],
    ["AA==", "\0"],
  ];
  for (const [given, bytes] of cases) check(given, {}, bytes);
});

test("refuses what is not base64, and shows none of it", () => {
  const broken = ["#cloud-config", "a", "aGVsb", "aGVsbG8=aGVsbG8=", "aGVsbG8==", "aG=", "ä"];
  const encoded = [
    "aGVsbG8%",
    "aGVsbG8%3",
    "aGVsbG8%zz",
    "%E4",
    "%25%32",
    "aGVsbG8\0",
    "aGVs bG8*",
  ];
  for (const given of [...broken, ...encoded]) check(given, {}, "USER_DATA_NOT_BASE64");
  for (const given of ["=", "==", " ", "\n", "%20"]) {
    const code = given.includes("=") ? "USER_DATA_NOT_BASE64" : "USER_DATA_TOO_SHORT";
    check(given, {}, code);
  }
  expect(failure(`${SECRET}?`, {}).message).not.toContain(SECRET);
});

test("counts characters of base64, as they are given", () => {
  const cases: readonly (readonly [count: number, Partial<UserDataRules>, limit?: number])[] = [
    [32_768, {}],
    [32_772, {}, 32_768],
    [4096, { method: "GET" }],
    [4100, { method: "GET" }, 4096],
    [4100, { method: "GET", charsMax: 1000 }, 4096],
    [1004, { charsMax: 1000 }, 1000],
    [USER_DATA_CHARS_MAX, { charsMax: USER_DATA_CHARS_MAX }],
    [USER_DATA_CHARS_MAX + 4, { charsMax: 2 * USER_DATA_CHARS_MAX }, USER_DATA_CHARS_MAX],
  ];
  for (const [count, rules, limit] of cases) {
    const given = "A".repeat(count);
    if (limit === undefined) {
      expect(decode(given, rules)?.length).toBe((count * 3) / 4);
      continue;
    }
    const { code, message, ...rest } = failure(given, rules);
    expect([code, rest.size, rest.limit]).toEqual(["USER_DATA_TOO_LARGE", count, limit]);
    expect(message).toContain(String(count));
    expect(message).toContain(String(limit));
  }
  // White space counts as well; an encoding that is undone does not.
  check(`${"A".repeat(32_768)}\n`, {}, "USER_DATA_TOO_LARGE");
  expect(decode("%41".repeat(32_768), {})?.length).toBe(24_576);
  check("%41".repeat(32_772), {}, "USER_DATA_TOO_LARGE");
  expect(failure("A".repeat(4100), { method: "GET" }).message).toEndWith("send it by POST");
});

test("bytes count as the base64 that they would be", () => {
  const at = (bytes: number) => () => checkUserData(new Uint8Array(bytes), 32_768);
  expect(base64Chars(24_576)).toBe(32_768);
  expect(at(24_576)).not.toThrow();
  expect(at(24_577)).toThrow(/32772 characters of base64; the limit is 32768/);
  expect(() => checkUserData(new Uint8Array(786_433), 10 ** 9)).toThrow(/1048576/);
});

test("any bytes come back from any spelling of their base64", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), (bytes, isUrl, isTwice) => {
      const text = Buffer.from(bytes).toString(isUrl ? "base64url" : "base64");
      const given = isTwice ? encodeURIComponent(text) : text;
      expect(decode(given, {})).toEqual(bytes);
    }),
  );
});

test("any text is bytes or one of its errors", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (given) => {
      try {
        decode(given, {});
      } catch (error) {
        expect(error).toBeInstanceOf(UserDataError);
      }
    }),
  );
});

function decode(given: string, rules: Partial<UserDataRules>): Uint8Array | undefined {
  return decodeUserData(given, { method: "POST", charsMax: USER_DATA_CHARS_DEFAULT, ...rules });
}

/** @param expected the decoded text, or the code of the error */
function check(given: string, rules: Partial<UserDataRules>, expected: string | undefined): void {
  if (expected?.startsWith("USER_DATA_")) {
    expect([given, failure(given, rules).code]).toEqual([given, expected]);
  } else {
    const bytes = decode(given, rules);
    expect([given, bytes && Buffer.from(bytes).toString("latin1")]).toEqual([given, expected]);
  }
}

function failure(given: string, rules: Partial<UserDataRules>): UserDataError {
  try {
    decode(given, rules);
  } catch (error) {
    if (error instanceof UserDataError) return error;
    throw error;
  }
  throw new Error("it was taken");
}
