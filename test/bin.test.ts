/**
 * bin/frontdesk and scripts/install.sh, as a stranger meets them: from any folder, through links,
 * on first use, with npm or the CPU missing something.
 *
 * Where an installation is played, npm and node are small scripts in a folder of their own.
 */

import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const BIN = join(ROOT, "bin", "frontdesk");
const scratch = mkdtempSync(join(tmpdir(), "fd-bin-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Call {
  readonly program?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run(args: readonly string[], { program = BIN, cwd = ROOT, env = {} }: Call = {}) {
  return new Promise<Outcome>((resolve) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

test("it runs from any folder, and through links to it", async () => {
  const relative = join(scratch, "relative");
  const absolute = join(scratch, "with a space");
  symlinkSync(absolute, relative);
  symlinkSync(BIN, absolute);
  for (const call of [
    {},
    { cwd: scratch },
    { program: absolute },
    { program: relative, cwd: "/" },
  ]) {
    const { code, stdout, stderr } = await run(["--version"], call);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^frontdesk \d+\.\d+\.\d+ .*on Bun 1\.\d+\.\d+\n$/);
  }
});

test("--help names the commands and shows examples", async () => {
  const { code, stdout } = await run(["--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("Commands:");
  expect(stdout).toContain("completion ");
  expect(stdout).toContain("Examples:\n");
});

test("wrong usage is one line on stderr, and exit code 2", async () => {
  const cases = [
    [["--listn"], "unknown option '--listn'; try: frontdesk --help"],
    [
      ["completon"],
      "unknown command 'completon' (did you mean completion?); try: frontdesk --help",
    ],
    [["completion"], "missing required argument 'shell'; try: frontdesk completion --help"],
    [
      ["completion", "bash", "--al\nl"],
      "unknown option '--al l'; try: frontdesk completion --help",
    ],
  ] as const;
  for (const [args, message] of cases) {
    expect(await run(args)).toEqual({ code: 2, stdout: "", stderr: `frontdesk: ${message}\n` });
  }
});

test("settings of the folder it is started in are not its own", async () => {
  const folder = join(scratch, "hostile");
  mkdirSync(folder);
  writeFileSync(join(folder, "evil.ts"), 'console.log("evil");');
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(folder, ".env"), "FRONTDESK_DEBUG=1\nNO_COLOR=\n");
  const { code, stdout } = await run(["--version"], { cwd: folder });
  expect(code).toBe(0);
  expect(stdout).toStartWith("frontdesk ");
});

test("it starts in well under a second", async () => {
  await run(["--version"]);
  const started = performance.now();
  await run(["--version"]);
  // 30 ms on an idle machine; the goal for a first answer is 150 ms. A busy machine gets more.
  expect(performance.now() - started).toBeLessThan(1000);
});

test("the first use installs, once even when two come together", async () => {
  const { program, env, calls } = checkout("npm-works", installing("sleep 1"));
  const both = await Promise.all([run(["a"], { program, env }), run(["b"], { program, env })]);
  for (const { code, stderr } of both) {
    expect(code).toBe(0);
    expect(stderr).toMatch(/^frontdesk: (installing|waiting)/);
  }
  expect(both.map(({ stdout }) => stdout.trim().split(" ").at(-1))).toEqual(["a", "b"]);
  expect(calls()).toEqual(["npm ci --include=dev --ignore-scripts"]);
  const again = await run(["c"], { program, env });
  expect({ code: again.code, stderr: again.stderr }).toEqual({ code: 0, stderr: "" });
  expect(calls()).toHaveLength(1);
});

test("a changed lock file installs again, a touched one does not", async () => {
  const { program, env, calls, lock } = checkout("npm-again", installing(""));
  await run([], { program, env });
  await Bun.sleep(20);
  writeFileSync(lock, readFileSync(lock));
  await run([], { program, env });
  expect(calls()).toHaveLength(1);
  await Bun.sleep(20);
  writeFileSync(lock, "{}\n");
  await run([], { program, env });
  expect(calls()).toHaveLength(2);
});

test("an installer that died does not block the next one", async () => {
  const { program, env, root } = checkout("npm-died", installing(""));
  mkdirSync(join(root, ".cache", "install.lock"), { recursive: true });
  // No Linux has a process of this number (PID_MAX_LIMIT is 2^22).
  writeFileSync(join(root, ".cache", "install.lock", "pid"), "4194305\n");
  expect((await run([], { program, env })).code).toBe(0);
});

test("without npm, or when npm fails, it says so and leaves no lock behind", async () => {
  const without = checkout("npm-missing", undefined);
  expect(await run([], without)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("npm is needed once"),
  });
  const failing = checkout("npm-fails", 'echo "npm error code E404" >&2; exit 1');
  const { code, stderr } = await run([], failing);
  expect(code).toBe(1);
  expect(stderr).toContain("npm error code E404\nfrontdesk: npm ci failed; the whole output is in");
  expect(existsSync(join(failing.root, ".cache", "install.lock"))).toBe(false);
});

test("a CPU that cannot run Bun gets the bundle, or a line that says what is missing", async () => {
  const { program, env, root } = checkout("old-cpu", undefined, "v20.0.0");
  const onNode = { program, env: { ...env, FRONTDESK_RUNTIME: "node" } };
  const { code, stderr } = await run([], onNode);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^frontdesk: Node.js v20.0.0 cannot run TypeScript; install .*\n$/);
  mkdirSync(join(root, "dist"));
  writeFileSync(join(root, "dist", "frontdesk.mjs"), "");
  expect((await run(["x"], onNode)).stdout).toBe(`node ${root}/dist/frontdesk.mjs x\n`);
});

/** What `npm ci` does, as far as bin/frontdesk looks: a Bun that prints its arguments. */
function installing(first: string): string {
  return `${first}
echo "npm $1 $2 $3" >>calls
mkdir -p node_modules/@oven/bun-linux-x64/bin node_modules/@oven/bun-darwin-x64/bin node_modules/.bin
for system in linux darwin; do
  printf '#!/bin/sh\\necho "$@"\\n' >node_modules/@oven/bun-$system-x64/bin/bun
  chmod +x node_modules/@oven/bun-$system-x64/bin/bun
done
touch node_modules/.package-lock.json`;
}

/** A checkout with nothing installed, and a PATH on which npm and node are the given scripts. */
function checkout(name: string, npm: string | undefined, nodeVersion?: string) {
  const root = join(scratch, name);
  const tools = join(root, "tools");
  mkdirSync(tools, { recursive: true });
  for (const folder of ["bin", "scripts"]) {
    cpSync(join(ROOT, folder), join(root, folder), { recursive: true });
  }
  const lock = join(root, "package-lock.json");
  writeFileSync(lock, "{ }\n");
  const tool = (file: string, text: string): void =>
    writeFileSync(join(tools, file), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  if (npm !== undefined) tool("npm", npm);
  if (nodeVersion !== undefined) {
    tool(
      "node",
      `case $1 in -e) exit 1 ;; --version) echo ${nodeVersion} ;; *) echo "node $*" ;; esac`,
    );
  }
  // Where dirname, mkdir and the like are, without this machine's npm.
  for (const program of ["sh", "dirname", "readlink", "mkdir", "rm", "mv", "cat", "cmp", "cp"]) {
    symlinkSync(Bun.which(program) ?? "", join(tools, program));
  }
  for (const program of ["sleep", "touch", "head", "ln", "chmod"]) {
    symlinkSync(Bun.which(program) ?? "", join(tools, program));
  }
  return {
    root,
    lock,
    program: join(root, "bin", "frontdesk"),
    env: { PATH: tools, FRONTDESK_RUNTIME: "bun" },
    calls: () => readFileSync(join(root, "calls"), "utf8").trimEnd().split("\n"),
  };
}
