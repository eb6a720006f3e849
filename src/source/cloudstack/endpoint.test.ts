import { expect, test } from "bun:test";
import { ConfigError, UsageError } from "../../model/errors.ts";
import { parseEndpoint, readCredentials } from "./endpoint.ts";

test("an address without a path means CloudStack's own", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["https://cloud.example.org", "https://cloud.example.org/client/api"],
    ["http://127.0.0.1:8080/", "http://127.0.0.1:8080/client/api"],
    ["https://cloud.example.org/proxy/api", "https://cloud.example.org/proxy/api"],
  ];
  for (const [text, url] of cases) expect(parseEndpoint(text).href).toBe(url);
});

test("what is no address, or has a place for secrets, is refused without being repeated", () => {
  const cases = ["", "cloud.example.org", "ftp://x", "https://u:s3cr3t@x", "https://x?k=s3cr3t"];
  for (const text of cases) {
    const error = refusal(() => parseEndpoint(text));
    expect(error).toBeInstanceOf(UsageError);
    expect(error?.message).not.toContain("s3cr3t");
  }
});

const KEYS = { FRONTDESK_API_KEY: "api", FRONTDESK_SECRET_KEY: "s3cr3t" };

test("keys are read from the settings", () => {
  expect(readCredentials(KEYS)).toEqual({ apiKey: "api", secretKey: "s3cr3t" });
});

test("keys that are missing or none name the place, never the value", () => {
  const two = (apiKey: string, secretKey?: string) => {
    return { FRONTDESK_API_KEY: apiKey, FRONTDESK_SECRET_KEY: secretKey };
  };
  const cases: readonly (readonly [Record<string, string | undefined>, string])[] = [
    [two("a"), "FRONTDESK_SECRET_KEY"],
    [two("a", ""), "FRONTDESK_SECRET_KEY"],
    [two("a", "s3cr3t s3cr3t"), "FRONTDESK_SECRET_KEY"],
    [two("s3cr3t".repeat(100)), "FRONTDESK_API_KEY"],
    [{}, "FRONTDESK_API_KEY"],
  ];
  for (const [settings, said] of cases) {
    for (const file of ["keys.env", undefined]) {
      const error = refusal(() => readCredentials(settings, file));
      const isAbsent = file === undefined && (settings[said] ?? "") === "";
      expect(error).toBeInstanceOf(isAbsent ? UsageError : ConfigError);
      if (isAbsent) expect(error?.message).toEndWith("with --credentials-file FILE");
      expect(error?.message).toContain(said);
      expect(error?.message).toContain(file ?? "environment");
      expect(error?.message).not.toContain("s3cr3t");
    }
  }
});

function refusal(work: () => unknown): Error | undefined {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  return undefined;
}
