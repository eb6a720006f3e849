/** The scripts in real shells, at a terminal of their own: what a press of Tab makes of a line. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/e2e/program.ts";
import { SCRIPTS } from "./completion-scripts.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "frontdesk-completion-"));
/** A shell that is slower than this is stuck. ms; each Tab starts a program. */
const TAB_MS_MAX = 15_000;

interface Shell {
  readonly argv: readonly string[];
  /** Reads the script, twice. */
  readonly setUp: string;
}

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: {
    argv: ["bash", "--norc", "--noprofile", "-i"],
    setUp: "source ./script.bash; source ./script.bash",
  },
  zsh: {
    argv: ["zsh", "-f", "-i"],
    setUp:
      "autoload -Uz compinit && compinit -u -d ./zcompdump; source ./script.zsh; source ./script.zsh",
  },
  fish: {
    argv: ["fish", "--no-config", "--private", "-i"],
    setUp: "set -g fish_autosuggestion_enabled 0; source ./script.fish; source ./script.fish",
  },
};

beforeAll(() => {
  for (const [shell, text] of Object.entries(SCRIPTS)) {
    writeFileSync(join(folder, `script.${shell}`), text);
  }
  writeFileSync(join(folder, "instances.yaml"), "");
  mkdirSync(join(folder, "bin"));
  mkdirSync(join(folder, "path"));
  symlinkSync(join(ROOT, "bin/frontdesk"), join(folder, "bin/frontdesk"));
  symlinkSync(join(ROOT, "bin/frontdesk"), join(folder, "path/frontdesk"));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What is typed, and what the line is after Tab. `{path}`: whether `frontdesk` is on the PATH. */
const CASES: readonly (readonly [typed: string, line: string])[] = [
  ["frontdesk rou", "frontdesk router "],
  ["frontdesk compl", "frontdesk completion "],
  ["frontdesk router fir", "frontdesk router firewall "],
  ["frontdesk help rou", "frontdesk help router "],
  ["frontdesk help router fir", "frontdesk help router firewall "],
  ["frontdesk router --log-level=deb", "frontdesk router --log-level=debug "],
  ["frontdesk router --config inst", "frontdesk router --config instances.yaml "],
  ["frontdesk router --source file:inst", "frontdesk router --source file:instances.yaml "],
  ["bin/frontdesk rou", "bin/frontdesk router "],
];

for (const [name, shell] of Object.entries(SHELLS)) {
  const isHere = Bun.which(name) !== null;
  test.skipIf(!isHere)(
    `${name} completes a line at a press of Tab${isHere ? "" : ": it is not installed"}`,
    async () => {
      for (const isOnPath of [true, false]) {
        await using terminal = await open(shell, isOnPath);
        for (const [typed, line] of CASES) {
          if (!isOnPath && !typed.startsWith("bin/")) continue;
          await terminal.press(typed, line);
        }
      }
    },
    120_000,
  );
}

test("nothing of a line is evaluated", async () => {
  const mark = join(folder, "evaluated");
  const typed = `frontdesk why $(touch ${mark}) x`;
  await using terminal = await open(SHELLS.bash as Shell, true);
  terminal.type(`${typed}\t`);
  await Bun.sleep(1500);
  expect(await Bun.file(mark).exists()).toBe(false);
});

async function open({ argv, setUp }: Shell, isOnPath: boolean) {
  let screen = "";
  const PATH = `${isOnPath ? `${join(folder, "path")}:` : ""}${process.env.PATH}`;
  const child = Bun.spawn([...argv], {
    cwd: folder,
    env: { ...process.env, PATH, HOME: folder, TERM: "dumb", PS1: "> ", HISTFILE: "" },
    terminal: {
      cols: 200,
      rows: 50,
      data: (_, data) => {
        screen += Buffer.from(data).toString();
      },
    },
  });
  const type = (text: string): void => void child.terminal?.write(text);
  const says = (text: string) =>
    until(`${argv[0]} to show ${text}`, TAB_MS_MAX, () => screen.includes(text)).catch((error) => {
      throw new Error(`${(error as Error).message}; it shows ${JSON.stringify(screen)}`);
    });
  type(`${setUp}; echo re''ady\n`);
  await says("ready");
  expect(screen).not.toMatch(/readonly|not found|[Ee]rror/);
  return {
    type,
    async press(typed: string, line: string): Promise<void> {
      screen = "";
      type(typed);
      await says(typed);
      screen = "";
      type("\t");
      await says(line.slice(typed.length));
      type("\u0015"); // Clears the line.
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      child.terminal?.close();
      await child.exited;
    },
  };
}
