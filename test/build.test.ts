/**
 * What is shipped: dist/frontdesk for machines that can run it, dist/frontdesk.mjs for any Node.js
 * from 18 on. `npm test` builds them first; alone, this file builds them itself.
 */

import { beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const BINARY = join(ROOT, "dist", "frontdesk");
const BUNDLE = join(ROOT, "dist", "frontdesk.mjs");
/** Debian 12's own Node.js, see scripts/setup.mjs. */
const NODE18 = join(ROOT, ".cache", "node18", "node");
const BUILD_TIMEOUT_MS = 60_000;

beforeAll(() => {
  if (existsSync(BINARY) && existsSync(BUNDLE)) return;
  expect(run("node", ["scripts/build.mjs"]).status).toBe(0);
}, BUILD_TIMEOUT_MS);

function run(program: string, args: readonly string[], cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  return { status, stdout, stderr };
}

/** One answer for data, one for wrong usage. */
function check(program: string, args: readonly string[], runtime: RegExp): void {
  const version = run(program, [...args, "--version"]);
  expect(version).toMatchObject({ status: 0, stderr: "" });
  expect(version.stdout).toMatch(/^frontdesk \d+\.\d+\.\d+ (\([0-9a-f]{7,40}(-dirty)?\) )?on /);
  expect(version.stdout).toMatch(runtime);
  expect(run(program, [...args, "completion"])).toEqual({
    status: 2,
    stdout: "",
    stderr: "frontdesk: missing required argument 'shell'; try: frontdesk completion --help\n",
  });
  expect(run(program, [...args, "completion", "bash"]).stdout).toContain("# bash completion");
}

test("the binary needs nothing beside it", () => {
  check(BINARY, [], / on Bun 1\.\d+\.\d+\n$/);
});

test("the binary takes no settings from the folder it is started in", () => {
  const folder = mkdtempSync(join(tmpdir(), "fd-dist-"));
  try {
    writeFileSync(join(folder, "evil.ts"), 'console.log("evil");');
    writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    expect(run(BINARY, ["--version"], folder).stdout).toStartWith("frontdesk ");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the bundle runs on the Node.js that is here", () => {
  check("node", [BUNDLE], / on Node\.js \d+\.\d+\.\d+\n$/);
});

test.skipIf(!existsSync(NODE18))("the bundle runs on Debian 12's Node.js 18", () => {
  check(NODE18, [BUNDLE], / on Node\.js 18\.\d+\.\d+\n$/);
});

test("every command of the table loads on Node.js from the bundle", () => {
  const list = run("node", [BUNDLE, "complete", "--", ""]).stdout.split("\n");
  const names = list.map((line) => line.split("\t")[0] ?? "").filter((name) => /^\w/.test(name));
  expect(names).toContain("completion");
  for (const name of names) {
    expect(run("node", [BUNDLE, name, "--help"])).toMatchObject({ status: 0, stderr: "" });
  }
});

test("the bundle imports no module of Bun's", () => {
  const imports = readFileSync(BUNDLE, "utf8").matchAll(/(?:from|import\(|require\()\s*"([^"]+)"/g);
  const names = [...imports].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => name.startsWith("bun"))).toEqual([]);
});
