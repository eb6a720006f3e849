import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "../command.ts";
import { openOutput } from "../output.ts";
import { runProgram } from "../program.ts";
import { commands } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-config-"));
const FILE = join(folder, "frontdesk.yaml");
afterAll(() => rmSync(folder, { recursive: true }));

function check(content: string, ...flags: string[]) {
  writeFileSync(FILE, content);
  return run([FILE, ...flags]);
}

async function run(args: readonly string[]) {
  const seen = { code: -1, stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      seen[name] += text;
    },
  });
  seen.code = await runProgram(["config", "check", ...args], {
    name: "frontdesk",
    summary: "",
    versionLine: "",
    examples: [],
    entries: commands,
    out: openOutput(sink("stdout"), sink("stderr"), {}),
    debug: false,
  });
  return seen;
}

const BAD = "hosts: enforced\nlisten: [auto]\nnetwroks: []\n";

test("a good file is said to be good", async () => {
  expect(await check("source: file:lab.yaml\nhosts: enforce\n")).toEqual({
    code: EXIT.done,
    stdout: `${FILE}: nothing is wrong\n`,
    stderr: "",
  });
});

test("each problem is a line with file, line and field, and the exit code is 2", async () => {
  const { code, stdout, stderr } = await check(BAD);
  expect({ code, stderr }).toEqual({ code: EXIT.usage, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toStartWith(`${FILE}:1: hosts: `);
  expect(lines[1]).toStartWith(`${FILE}:3: netwroks: `);
  expect(lines[1]).toContain('did you mean "networks"?');
});

test("--json says the same for programs", async () => {
  const { code, stdout } = await check(BAD, "--json");
  expect(code).toBe(EXIT.usage);
  expect(JSON.parse(stdout)).toMatchObject({
    file: FILE,
    problems: [
      { line: 1, field: "hosts" },
      { line: 3, field: "netwroks" },
    ],
  });
});

test("a file that cannot be read is one line on stderr", async () => {
  const missing = join(folder, "missing.yaml");
  expect(await run([missing])).toEqual({
    code: EXIT.usage,
    stdout: "",
    stderr: `frontdesk: ${missing}: does not exist\n`,
  });
});
