import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { EXIT } from "../command.ts";
import { openOutput } from "../output.ts";
import { runProgram } from "../program.ts";
import { commands } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-import-"));
const FILE = join(folder, "lab.yaml");
afterAll(() => rmSync(folder, { recursive: true }));

const LAB = `instances:
  - id: a-1
    name: web-01
    address: 10.1.1.5
    password: Tr0ub4dor
    keys: [[local-hostname, web-01], [db-password, hunter2]]
    userData: {text: "#cloud-config sesame"}
  - id: b-1
    name: db-01
    address: 10.1.1.6
`;

async function run(...args: readonly string[]) {
  writeFileSync(FILE, LAB);
  const seen = { code: -1, stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      seen[name] += text;
    },
  });
  seen.code = await runProgram(["import", ...args], {
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

test("what a source serves comes out as a file, secrets masked", async () => {
  const { code, stdout, stderr } = await run(`file:${FILE}`);
  expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
  for (const secret of ["sesame", "hunter2", "Tr0ub4dor"]) expect(stdout).not.toContain(secret);
  const names = parse(stdout).instances.map(({ name }: { name: string }) => name);
  expect(names).toEqual(["web-01", "db-01"]);
});

test("--with-secrets keeps back passwords only; --loopback is for one machine", async () => {
  const { stdout } = await run("--with-secrets", "--loopback", `file:${FILE}`);
  expect(stdout).toContain("sesame");
  expect(stdout).toContain("hunter2");
  expect(stdout).not.toContain("Tr0ub4dor");
  expect(parse(stdout).instances[0].address).toBe("127.1.1.5");
});

test("what comes out can be read again, and says the same", async () => {
  const first = await run("--with-secrets", "--json", `file:${FILE}`);
  const again = join(folder, "again.yaml");
  writeFileSync(again, first.stdout);
  const second = await run("--with-secrets", "--json", `file:${again}`);
  expect(second.stdout).toBe(first.stdout);
});

test("a source that is not there, or is unknown, is one line", async () => {
  expect(await run("file:/nowhere.yaml")).toEqual({
    code: EXIT.failed,
    stdout: "",
    stderr: "frontdesk: /nowhere.yaml: does not exist\n",
  });
  const { code, stderr } = await run("fil:x");
  expect(code).toBe(EXIT.usage);
  expect(stderr).toStartWith('frontdesk: no such source: "fil"; did you mean "file"?');
});
