/**
 * dist/frontdesk-guest.mjs: small, without dependencies, and the same on Debian 12's Node.js 18, on
 * the Node.js that is here, and on Bun. `npm test` builds it first; alone, this file does.
 */

import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { GUEST_COMMANDS } from "../../src/guest/commands/index.ts";
import { run } from "../e2e/program.ts";
import { ec2, virtualRouter } from "./servers.ts";

const ROOT = join(import.meta.dirname, "../..");
const BUNDLE = join(ROOT, "dist/frontdesk-guest.mjs");
const NODE18 = join(ROOT, ".cache/node18/node");
const BYTES_MAX = 150_000;
const BUILD_MS = 60_000;
const NOBODY = "http://127.0.0.1:9";

const RUNTIMES = [
  { name: "Debian 12's Node.js 18", program: NODE18, says: /on Node\.js 18\./ },
  { name: "Node.js", program: "node", says: /on Node\.js \d+\./ },
  { name: "Bun", program: process.execPath, says: /on Bun 1\./ },
];

beforeAll(() => {
  if (existsSync(BUNDLE)) return;
  expect(spawnSync("node", ["scripts/build.mjs"], { cwd: ROOT }).status).toBe(0);
}, BUILD_MS);

test("it is small and needs nothing beside the runtime's own modules", () => {
  expect(statSync(BUNDLE).size).toBeLessThanOrEqual(BYTES_MAX);
  const text = readFileSync(BUNDLE, "utf8").replace(/(?<=const HEAVY=")[^"]*/, (packed) =>
    inflateRawSync(Buffer.from(packed, "base64")).toString(),
  );
  const calls = /(?:\bfrom|\bimport\(|\brequire\(|\bload\()\s*"([\w@:./-]+)"/g;
  const names = [...text.matchAll(calls)].map(([, name = ""]) => name);
  expect(text).toMatch(/^[\x00-\x7f]*$/);
  expect(names).toContain("node:child_process");
  expect(names.filter((name) => !name.startsWith("node:"))).toEqual([]);
});

for (const { name, program, says } of RUNTIMES) {
  const missing = program === NODE18 && !existsSync(NODE18);
  if (missing) console.warn("skipped: the small file on Node 18: .cache/node18 is not there");
  describe.skipIf(missing)(`on ${name}`, () => {
    const guest = (url: string, ...args: string[]) =>
      run([program, BUNDLE, ...args], { env: { FRONTDESK_ENDPOINT: url } });

    test("it says what it is, and every command has help", async () => {
      const version = await guest(NOBODY, "--version");
      expect(version.stdout.toString()).toMatch(says);
      const overview = (await guest(NOBODY, "--help")).stdout.toString();
      for (const { name: command } of GUEST_COMMANDS) {
        expect(overview).toContain(`  ${command}`);
        const help = await guest(NOBODY, command, "--help");
        expect([help.code, help.stderr]).toEqual([0, ""]);
        expect(help.stdout.toString()).toContain(`Usage: frontdesk-guest ${command} [options]`);
      }
    });

    test("it reads, lists, caches, and tells absent from there", async () => {
      const folder = mkdtempSync(join(tmpdir(), "fd-bundle-"));
      const file = join(folder, "metadata.json");
      await using router = await virtualRouter({ keys: { "instance-id": "i-1", a: "\u00e9" } });
      expect(await guest(router.url, "get", "a")).toMatchObject({
        code: 0,
        stdout: Buffer.from("\u00e9"),
        stderr: "",
      });
      expect((await guest(router.url, "get", "b")).code).toBe(1);
      expect((await guest(router.url, "get", "--frob")).code).toBe(2);
      expect((await guest(router.url, "cache", "--output", file)).code).toBe(0);
      const cached = await guest(NOBODY, "get", "a", "--cache-file", file);
      expect([cached.code, cached.stdout.toString()]).toEqual([0, "\u00e9"]);
      expect((await guest(router.url, "env")).stdout.toString()).toContain("METADATA_A='\u00e9'");
      rmSync(folder, { recursive: true });
    });

    test("it uses session tokens", async () => {
      await using service = await ec2({ tree: { "instance-id": "i-1" }, tokensRequired: true });
      expect((await guest(service.url, "get", "instance-id")).stdout.toString()).toBe("i-1");
    });

    test("a user of a pipe that has seen enough is no failure", async () => {
      await using router = await virtualRouter({ keys: { "instance-id": "x".repeat(60_000) } });
      const line = `"$0" "$1" get instance-id | head -c 1`;
      const done = await run(["sh", "-c", line, program, BUNDLE], {
        env: { FRONTDESK_ENDPOINT: router.url },
      });
      expect([done.stdout.toString(), done.stderr]).toEqual(["x", ""]);
    });
  });
}

test("wrong usage of a command that lies in it as text is wrong usage too", async () => {
  const done = await run(["node", BUNDLE, "harden", "--allow", "a b"]);
  expect(done.code).toBe(2);
  expect(done.stderr).toMatch(/^frontdesk: .*; try: frontdesk-guest harden --help\n$/);
});

test("the whole program's commands have the same options, examples and exit codes", async () => {
  const whole = [process.execPath, join(ROOT, "src/cli/main.ts"), "guest"];
  const small = [process.execPath, join(ROOT, "src/guest/main.ts")];
  const flags = (help: string) => help.match(/^ {2}-[^ ]*(?:, --[\w-]+)?(?: <[\w.]+>)?/gm) ?? [];
  for (const { name } of GUEST_COMMANDS) {
    const [a, b] = await Promise.all(
      [whole, small].map(async (program) =>
        (await run([...program, name, "--help"])).stdout.toString(),
      ),
    );
    expect(flags(a ?? "").length).toBeGreaterThan(2);
    expect(flags(a ?? "")).toEqual(flags(b ?? ""));
    const exits = (help = "") => help.match(/\nExit codes:\n(?: {2}\d {2}.*\n)+/)?.[0];
    expect(exits(a)).toMatch(/^\nExit codes:\n {2}0 {2}/);
    expect(exits(a)).toBe(exits(b) ?? "");
  }
  for (const args of [
    ["get", "x"],
    ["get", "--frob"],
    ["get", "a", "b"],
    ["get", "--timeout", "x"],
  ]) {
    const env = { FRONTDESK_ENDPOINT: NOBODY };
    const [a, b] = await Promise.all(
      [whole, small].map(async (program) => (await run([...program, ...args], { env })).code),
    );
    expect([args, a]).toEqual([args, b]);
  }
});
