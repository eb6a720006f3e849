/**
 * `npm test` and `.ci/run` themselves: what they make of a runner's report.
 *
 * Goal: no failure is reported as success, and the last line is the runner's count.
 * Method: the real scripts in a folder whose bun, biome and tsc are small scripts.
 */

import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "fd-npm-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Tools {
  /** The runner's report; none is written when absent. */
  readonly report?: string;
  readonly bun?: number;
  readonly biome?: number;
  readonly tsc?: number;
  readonly build?: number;
}

const GOOD = report({ tests: 7, failures: 0, skipped: 2 });

function report({ tests = 0, failures = 0, skipped = 0 }): string {
  return `<?xml version="1.0"?>
<testsuites name="bun test" tests="${tests}" assertions="9" failures="${failures}" skipped="${skipped}" time="1">
<testcase name="needs &quot;root&quot;" classname="" time="0" file="a.test.ts" line="3"><skipped /></testcase>
</testsuites>`;
}

let count = 0;

/** Runs the scripts with tools that end as told; answers the exit code and the lines printed. */
function run(tools: Tools, command: readonly string[] = ["node", "scripts/test.mjs"]) {
  const root = join(scratch, String(count++));
  const bin = join(root, "node_modules", ".bin");
  mkdirSync(bin, { recursive: true });
  for (const part of ["scripts", ".ci"])
    cpSync(join(ROOT, part), join(root, part), { recursive: true });
  writeFileSync(
    join(root, "package.json"),
    '{"version":"1.2.3","scripts":{"test":"node scripts/test.mjs"}}',
  );
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "node_modules", ".package-lock.json"), "{}");
  writeFileSync(join(root, "report.xml"), tools.report ?? "");
  const tool = (name: string, text: string): void =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  tool("biome", `exit ${tools.biome ?? 0}`);
  tool("tsc", `exit ${tools.tsc ?? 0}`);
  tool(
    "bun",
    `case $1 in
--version) echo 1.0.0 ;;
build) for arg; do case $arg in
    --outfile=*light*) echo 'import("./heavy.ts")' >"\${arg#*=}" ;;
    --outfile=*) : >"\${arg#*=}" ;;
  esac; done; exit ${tools.build ?? 0} ;;
test) echo "$TMPDIR" >tmpdir
  for arg; do case $arg in --reporter-outfile=*) [ -s report.xml ] && cp report.xml "\${arg#*=}" ;; esac; done
  exit ${tools.bun ?? 0} ;;
esac`,
  );
  const [program = "", ...args] = command;
  const env = { ...process.env, FRONTDESK_NO_APT: "1", NO_COLOR: "1" };
  const { status, stdout } = spawnSync(program, args, { cwd: root, env, encoding: "utf8" });
  const lines = stdout.trimEnd().split("\n");
  return { root, status, lines, last: lines.at(-1) };
}

test("the last line is the count of the runner's report, and skipped tests are named", () => {
  const { status, last, lines } = run({ report: GOOD });
  expect({ status, last }).toEqual({ status: 0, last: "5 passed, 0 failed, 2 skipped" });
  expect(lines).toContain('skipped: a.test.ts: needs "root"');
});

test("whatever fails makes the run fail, and is counted", () => {
  const failing = report({ tests: 3, failures: 2 });
  const cases: readonly (readonly [Tools, string])[] = [
    [{ report: failing, bun: 1 }, "1 passed, 2 failed, 0 skipped"],
    [{ report: GOOD, biome: 1 }, "5 passed, 1 failed, 2 skipped"],
    [{ report: GOOD, tsc: 2 }, "5 passed, 1 failed, 2 skipped"],
    [{ report: GOOD, build: 1 }, "5 passed, 1 failed, 2 skipped"],
    // The runner failed for something that is no test, as an error between two.
    [{ report: GOOD, bun: 1 }, "5 passed, 1 failed, 2 skipped"],
    // It ran nothing, it died, it only skipped.
    [{ report: report({ tests: 0 }) }, "0 passed, 1 failed, 0 skipped"],
    [{ bun: 139 }, "0 passed, 1 failed, 0 skipped"],
    [{ report: report({ tests: 2, skipped: 2 }) }, "0 passed, 1 failed, 2 skipped"],
    [{ report: failing, bun: 1, biome: 1, tsc: 1 }, "1 passed, 4 failed, 0 skipped"],
  ];
  for (const [tools, expected] of cases) {
    const { status, last } = run(tools);
    expect([tools, status, last]).toEqual([tools, 1, expected]);
  }
});

test("temporary files of the tests are removed", () => {
  const { root } = run({ report: GOOD });
  const folder = readFileSync(join(root, "tmpdir"), "utf8").trim();
  expect(folder).toStartWith(tmpdir());
  expect(existsSync(folder)).toBe(false);
  expect(readdirSync(join(root, "dist")).sort()).toEqual([
    "frontdesk",
    "frontdesk-guest.mjs",
    "frontdesk.mjs",
  ]);
});

test(".ci/run ends with the count and npm's exit code, whatever npm says", () => {
  const good = run({ report: GOOD }, ["bash", ".ci/run"]);
  expect(good).toMatchObject({ status: 0, last: "5 passed, 0 failed, 2 skipped" });
  const bad = run({ report: GOOD, tsc: 1 }, ["bash", ".ci/run"]);
  expect(bad).toMatchObject({ status: 1, last: "5 passed, 1 failed, 2 skipped" });
});

test(".ci/run fails when there is no count at all", () => {
  const { root } = run({ report: GOOD });
  writeFileSync(join(root, "scripts", "test.mjs"), "console.log('all is well');");
  const { status, stdout } = spawnSync("bash", [".ci/run"], { cwd: root, encoding: "utf8" });
  expect(status).toBe(1);
  expect(stdout.trimEnd().split("\n").at(-1)).toBe("0 passed, 1 failed, 0 skipped");
});
