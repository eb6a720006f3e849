/** Programs that change things: CloudStack's way in Python, or a store; asked one line at a time. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CHANGED_KEY } from "../lab.ts";
import { which } from "../machine.ts";
import { endGroup, LOAD_CPU, pinned, register } from "../process.ts";

/** When a change was begun and when it was all written, by the wall clock. */
export interface Written {
  readonly begunMs: number;
  readonly endedMs: number;
}

export interface Script extends AsyncDisposable {
  /** Gives the guest at `address` another value of `CHANGED_KEY`. */
  change(address: string, value: string): Promise<Written>;
}

export function scriptsMissing(): string | undefined {
  return which("python3") === undefined ? "python3 is not installed" : undefined;
}

/** Starts a script and waits until it is ready for changes. */
export function startScript(name: "databag" | "rewrite", args: readonly string[]): Promise<Script> {
  const script = join(import.meta.dirname, `${name}.py`);
  return startChanger(`${name}.py`, ["python3", script, ...args]);
}

/** Starts a program that takes changes as the scripts do. */
export async function startChanger(name: string, argv: readonly string[]): Promise<Script> {
  const { ask, end } = await startAsked(name, argv);
  return {
    change: async (address, value) =>
      (await ask(`${address}\t${CHANGED_KEY}\t${value}`)) as Written,
    [Symbol.asyncDispose]: async () => end(),
  };
}

/** A program that says a line of JSON when it is ready, and one for each line that it is told. */
export interface Asked {
  readonly ready: unknown;
  ask(line: string): Promise<unknown>;
  end(): void;
}

export async function startAsked(name: string, argv: readonly string[]): Promise<Asked> {
  const [file = "", ...rest] = pinned(LOAD_CPU, argv);
  const child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const pid = register(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`${name} has ended`);
    return JSON.parse(value);
  };
  return {
    ready: await answer(),
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return answer();
    },
    end: () => endGroup(pid),
  };
}
