import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("keys are read from the environment", () => {
  expect(readCredentials(KEYS)).toEqual({ apiKey: "api", secretKey: "s3cr3t" });
});

test("a file of keys counts instead of the environment", () => {
  const cases = [
    "FRONTDESK_API_KEY=file\nFRONTDESK_SECRET_KEY=other\n",
    "# keys\nexport FRONTDESK_API_KEY='file'\r\nFRONTDESK_SECRET_KEY = \"other\"\r\n",
  ];
  for (const text of cases) {
    withFile(text, (file) => {
      expect(readCredentials(KEYS, file)).toEqual({ apiKey: "file", secretKey: "other" });
    });
  }
});

test("keys that are missing or none name the place, never the value", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["FRONTDESK_API_KEY=a", "FRONTDESK_SECRET_KEY"],
    ["FRONTDESK_API_KEY=a\nFRONTDESK_SECRET_KEY=\n", "FRONTDESK_SECRET_KEY"],
    ["FRONTDESK_API_KEY=a\nFRONTDESK_SECRET_KEY=s3cr3t s3cr3t\n", "FRONTDESK_SECRET_KEY"],
    [`FRONTDESK_API_KEY=${"s3cr3t".repeat(100)}\n`, "FRONTDESK_API_KEY"],
    ["s3cr3t".repeat(1000), "bytes"],
  ];
  for (const [text, said] of cases) {
    withFile(text, (file) => {
      const error = refusal(() => readCredentials(KEYS, file));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error?.message).toContain(said);
      expect(error?.message).toContain(file);
      expect(error?.message).not.toContain("s3cr3t");
    });
  }
  expect(refusal(() => readCredentials({}))?.message).toContain("FRONTDESK_API_KEY");
  expect(refusal(() => readCredentials(KEYS, "/nowhere/keys"))?.message).toContain("/nowhere");
});

function refusal(work: () => unknown): Error | undefined {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  return undefined;
}

function withFile(text: string, use: (file: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "frontdesk-keys-"));
  try {
    const file = join(dir, "keys");
    writeFileSync(file, text);
    use(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
