import { expect, test } from "bun:test";
import { ConfigError, ListenError, UsageError } from "../model/errors.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "./command.ts";
import { commands } from "./commands/index.ts";
import { openOutput } from "./output.ts";
import { load, runProgram } from "./program.ts";

interface Seen {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What `serve` was called with. */
  readonly call?: Invocation;
}

/** Runs a program with one command `serve`, and a group `lab` whose `up` is `extra`. */
async function run(argv: string[], extra: Partial<Command> = {}, debug = false): Promise<Seen> {
  let stdout = "";
  let stderr = "";
  let call: Invocation | undefined;
  const serve: Command = {
    description: "At length.",
    arguments: [{ name: "[place]", summary: "where" }],
    options: [
      { flags: "--listen <address>", summary: "where", repeatable: true, env: "FD_TEST_LISTEN" },
      { flags: "-m, --mode <mode>", summary: "how", choices: ["a", "b"], default: "a" },
      { flags: "--state-dir <dir>", summary: "where to keep state" },
      JSON_OPTION,
    ],
    examples: [["fd serve --mode b", "the other mode"]],
    run: async (invocation) => {
      call = invocation;
      return EXIT.attention;
    },
    ...extra,
  };
  const write = (add: (text: string) => void) => ({ write: add });
  const code = await runProgram(argv, {
    name: "fd",
    summary: "A program.",
    versionLine: "fd 1",
    examples: [],
    entries: [
      { name: "serve", summary: "answer", load: async () => ({ serve }) },
      { name: "broken", summary: "never loaded", load: () => Promise.reject(new Error("loaded")) },
      { name: "lab", summary: "labs", load: async () => ({ lab }) },
    ],
    out: openOutput(
      write((text) => {
        stdout += text;
      }),
      write((text) => {
        stderr += text;
      }),
      {},
    ),
    debug,
  });
  return { code, stdout, stderr, ...(call === undefined ? {} : { call }) };
}

const lab: Command = {
  examples: [],
  commands: [
    { name: "up", summary: "start", load: async () => ({ up: { examples: [], run: up } }) },
    { name: "down", summary: "stop", load: async () => ({ down: { examples: [] } }) },
  ],
};

async function up(): Promise<typeof EXIT.done> {
  return EXIT.done;
}

test("a command gets its arguments, its options and its exit code", async () => {
  const { code, call } = await run([
    "serve",
    "here",
    "--listen",
    "a:1,b:2",
    "--listen",
    "c:3",
    "-m",
    "b",
    "--json",
  ]);
  expect(code).toBe(EXIT.attention);
  expect(call?.args).toEqual(["here"]);
  expect(call?.options.strings("listen")).toEqual(["a:1", "b:2", "c:3"]);
  expect(call?.options.string("mode")).toBe("b");
  expect(call?.options.string("state-dir")).toBeUndefined();
  expect(call?.options.flag("json")).toBe(true);
});

test("an absent option is its environment variable, else its default", async () => {
  process.env.FD_TEST_LISTEN = "e:1,e:2";
  try {
    const fromEnvironment = await run(["serve"]);
    expect(fromEnvironment.call?.options.strings("listen")).toEqual(["e:1", "e:2"]);
    const fromFlag = await run(["serve", "--listen", "f:1"]);
    expect(fromFlag.call?.options.strings("listen")).toEqual(["f:1"]);
  } finally {
    delete process.env.FD_TEST_LISTEN;
  }
  const { call } = await run(["serve"]);
  expect(call?.options.strings("listen")).toEqual([]);
  expect(call?.options.string("mode")).toBe("a");
  expect(call?.options.flag("json")).toBe(false);
});

test("an option that a command and its sub-command have is the one's after whose name it stands", async () => {
  const seen: string[] = [];
  const options = [{ flags: "--listen <address>", summary: "where" }];
  const note = (name: string) => async (call: Invocation) => {
    seen.push(`${name} ${call.options.string("listen")}`);
    return EXIT.done;
  };
  const inner: Command = { examples: [], options, run: note("inner") };
  const commands = [{ name: "inner", summary: "inside", load: async () => ({ inner }) }];
  const extra = { options, commands, arguments: [], run: note("outer") };
  await run(["serve", "inner", "--listen", "a:1"], extra);
  await run(["serve", "--listen", "b:1"], extra);
  await run(["serve", "--listen", "b:1", "inner"], extra);
  expect(seen).toEqual(["inner a:1", "outer b:1", "inner undefined"]);
});

test("asking for an option that was not declared is a bug", async () => {
  const { call } = await run(["serve"]);
  expect(() => call?.options.string("listne")).toThrow("declares no option --listne");
  expect(() => call?.options.string("listen")).toThrow("one value, or several?");
  expect(() => call?.options.strings("mode")).toThrow("one value, or several?");
});

test("wrong usage is one line that says where help is, and exit code 2", async () => {
  const cases: readonly (readonly [argv: string[], line: string])[] = [
    [["srve"], "unknown command 'srve' (did you mean serve?); try: fd --help"],
    [
      ["serve", "--mod", "a"],
      "unknown option '--mod' (did you mean --mode?); try: fd serve --help",
    ],
    [["serve", "a", "b"], "too many arguments for 'serve'. Expected 1 argument but got 2: a, b"],
    [
      ["serve", "--mode", "c"],
      "option '-m, --mode <mode>' argument 'c' is invalid. Allowed choices",
    ],
    [["serve", "--listen"], "option '--listen <address>' argument missing; try: fd serve --help"],
    [["serve", "--\u001b[2Jx"], "unknown option '--\\u{1b}[2Jx'; try: fd serve --help"],
    [["ser"], "unknown command 'ser' (did you mean serve?); try: fd --help"],
    [["help", "srve"], "unknown command 'srve' (did you mean serve?); try: fd --help"],
    [["srve", "--help"], "unknown command 'srve' (did you mean serve?); try: fd --help"],
    [["help", "lab", "dwn"], "unknown command 'dwn' (did you mean down?); try: fd lab --help"],
    [["lab", "dwn", "--help"], "unknown command 'dwn' (did you mean down?); try: fd lab --help"],
    [["lab", "help", "dwn"], "unknown command 'dwn' (did you mean down?); try: fd lab --help"],
    [["serve", "--colour", "b"], "unknown option '--colour'; try: fd serve --help"],
    [["lab"], "fd lab needs one of: up, down; try: fd lab --help"],
    [["lab", "upp"], "unknown command 'upp' (did you mean up?); try: fd lab --help"],
  ];
  for (const [argv, line] of cases) {
    const { code, stdout, stderr } = await run(argv);
    expect({ argv, code, stdout }).toEqual({ argv, code: EXIT.usage, stdout: "" });
    expect(stderr).toStartWith(`fd: ${line}`);
    expect(stderr.split("\n")).toHaveLength(2);
  }
});

test("an error of the closed set is one line; its kind decides the exit code", async () => {
  const cases = [
    [new UsageError("pick one"), EXIT.usage, "fd: pick one; try: fd serve --help\n"],
    [new ConfigError("no", { file: "f.yaml", line: 3, field: "x" }), 2, "fd: f.yaml:3: x: no\n"],
    [new ListenError("ADDRESS_IN_USE", "taken by\npid 7"), EXIT.failed, "fd: taken by pid 7\n"],
  ] as const;
  for (const [error, code, stderr] of cases) {
    const seen = await run(["serve"], { run: () => Promise.reject(error) });
    expect(seen).toEqual({ code, stdout: "", stderr });
  }
});

test("any other error is a bug: one line, and a trace on request", async () => {
  const broken = { run: () => Promise.reject(new TypeError("x is not a function")) };
  const line = "fd: this is a bug, please report it: x is not a function";
  expect(await run(["serve"], broken)).toEqual({
    code: EXIT.failed,
    stdout: "",
    stderr: `${line} (set FRONTDESK_DEBUG=1 for the trace)\n`,
  });
  const { stderr } = await run(["serve"], broken, true);
  expect(stderr).toStartWith(`${line}\nTypeError: x is not a function\n    at `);
});

test("help goes to stdout, with the examples, and only the named command is loaded", async () => {
  const top = await run([]);
  expect(top).toMatchObject({ code: EXIT.done, stderr: "" });
  expect(top.stdout).toContain("serve           answer");
  for (const argv of [
    ["serve", "--help"],
    ["help", "serve"],
    ["help", "serve", "--help"],
  ]) {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
    expect(stdout).toContain("Answer.\n\nAt length.");
    expect(stdout).toEndWith("Examples:\n  fd serve --mode b\n      the other mode\n");
  }
  expect((await run(["broken"])).stderr).toContain("this is a bug, please report it: loaded");
  expect((await run(["--version"])).stdout).toBe("fd 1\n");
});

test("help on a command within a group is that command's", async () => {
  for (const argv of [
    ["help", "lab", "up"],
    ["lab", "help", "up"],
    ["lab", "up", "--help"],
  ]) {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
    expect(stdout).toStartWith("Usage: fd lab up [options]\n\nStart.\n");
  }
});

test("a wrong name of a command that can also run by itself is told as such", async () => {
  const commands = [{ name: "up", summary: "start", load: async () => ({ up: lab }) }];
  const seen = await run(["serve", "upp"], { arguments: [], commands });
  expect(seen.stderr).toBe("fd: unknown command 'upp' (did you mean up?); try: fd serve --help\n");
});

test("help shows defaults, also those that code works out, and what exit codes mean", async () => {
  const { stdout } = await run(["serve", "--help"], {
    options: [
      { flags: "--mode <mode>", summary: "how", choices: ["a", "b"], default: "a", env: "FD_MODE" },
      { flags: "--state-dir <dir>", summary: "where", usual: "/var/lib/fd" },
    ],
    exits: [
      [EXIT.done, "all is well"],
      [EXIT.attention, "look at it"],
    ],
  });
  const line = (pattern: RegExp): string => stdout.replace(/\n +/g, " ").match(pattern)?.[0] ?? "";
  expect(line(/--mode.*/)).toContain('how (choices: "a", "b", default: "a", env: FD_MODE)');
  expect(line(/--state-dir.*/)).toContain("where (default: /var/lib/fd)");
  expect(stdout).toContain("\nExit codes:\n  0  all is well\n  3  look at it\n\nExamples:\n");
  expect((await run([])).stdout).toContain("\nExit codes:\n  0  done\n");
  const specs = [{ flags: "--state-dir <dir>", summary: "where", usual: "/var/lib/fd" }];
  let given: string | undefined = "not run";
  const note = async (call: Invocation) => {
    given = call.options.string("state-dir");
    return EXIT.done;
  };
  await run(["serve"], { options: specs, run: note });
  expect(given).toBeUndefined();
});

test("each line of the table loads a command that shows how it is used", async () => {
  const check = async (entries: typeof commands): Promise<void> => {
    for (const entry of entries) {
      const command = await load(entry);
      expect(entry.summary).toMatch(/^[a-z].*[^.]$/);
      expect(command.run !== undefined || (command.commands ?? []).length > 0).toBe(true);
      if (command.run !== undefined) expect(command.examples.length).toBeGreaterThan(0);
      const codes = (command.exits ?? []).map(([code]) => code);
      expect(codes).toEqual([...new Set(codes)].sort());
      for (const [line] of command.examples) expect(line).toContain("frontdesk ");
      await check(command.commands ?? []);
    }
  };
  await check(commands);
});
