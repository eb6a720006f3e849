import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { encode, sign, signedQuery, stringToSign, timestamp } from "./sign.ts";

const example = JSON.parse(
  readFileSync("fixtures/cloudstack/api/signing-example.json", "utf8"),
) as Record<"stringToSign" | "signature" | "signatureInUrl" | "secretKey", string> & {
  params: Record<string, string>;
};

test("a request is signed as CloudStack signs the example", () => {
  expect(stringToSign(example.params)).toBe(example.stringToSign);
  expect(sign(example.params, example.secretKey)).toBe(example.signature);
  expect(encode(example.signature)).toBe(example.signatureInUrl);
});

test("the query carries what was signed, in version 3, and the time until which it is good", () => {
  const { apiKey = "", command = "", id = "", name = "" } = example.params;
  const credentials = { apiKey, secretKey: example.secretKey };
  const query = signedQuery(command, { id, name }, credentials, Date.UTC(2026, 10, 22, 12));
  expect(query.endsWith(`&signature=${example.signatureInUrl}`)).toBe(true);
  expect(Object.fromEntries(new URLSearchParams(query))).toEqual({
    ...example.params,
    signature: example.signature,
  });
});

test("the secret key is in no query", () => {
  const credentials = { apiKey: "k", secretKey: "s3cr3t" };
  expect(signedQuery("listZones", {}, credentials, 0)).not.toContain("s3cr3t");
});

test("values are encoded as Java does it, with %20 for a space", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a b", "a%20b"],
    ["*-._", "*-._"],
    ["~!'()", "%7E%21%27%28%29"],
    ["ä€", "%C3%A4%E2%82%AC"],
    ["a+b/c=", "a%2Bb%2Fc%3D"],
    ["\ud800", "%EF%BF%BD"],
  ];
  for (const [value, encoded] of cases) expect(encode(value)).toBe(encoded);
});

test("whatever the value, decoding gives it back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      expect(decodeURIComponent(encode(value))).toBe(Buffer.from(value).toString());
      expect(encode(value)).toMatch(/^[A-Za-z0-9.*_%-]*$/);
    }),
  );
});

test("the time of expiry has no fraction and an offset of four digits", () => {
  expect(timestamp(Date.UTC(2026, 10, 22, 12, 0, 0, 987))).toBe("2026-11-22T12:00:00+0000");
});
