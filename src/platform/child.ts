/**
 * A program of ours that runs beside this one for as long as this one does.
 *
 * It writes its log where we write ours. Its standard input is a pipe that ends with us, however we
 * end, so it knows when to stop; what it says on standard error is passed on, line by line.
 */

import { spawn } from "node:child_process";
import { ExecError } from "../model/errors.ts";

/** Characters of a line that are kept: it goes into a condition. */
const LINE_CHARS_MAX = 300;

export interface ChildEnd {
  /** The exit code, or the signal's name. */
  readonly how: string;
  /** The last line that it said on standard error; `""` if it said nothing. */
  readonly lastWords: string;
}

export interface Child {
  readonly pid: number | undefined;
  /** @throws {ExecError} if it cannot be started. */
  readonly ended: Promise<ChildEnd>;
  signal(name: NodeJS.Signals): void;
}

/** How children are started; tests pass their own. */
export type StartChild = (argv: readonly string[], env?: Record<string, string>) => Child;

export const startChild: StartChild = (argv, env = {}) => {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "inherit", "pipe"],
  });
  child.stdin?.on("error", () => {}); // It may be gone already.
  let lastWords = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    const words = text.trimEnd().split("\n").at(-1);
    if (words !== undefined && words !== "") lastWords = words.slice(0, LINE_CHARS_MAX);
  });
  const ended = new Promise<ChildEnd>((resolve, reject) => {
    child.on("error", (cause) => {
      reject(new ExecError("PROGRAM_MISSING", `${file} cannot be started`, { cause }));
    });
    child.on("close", (code, signal) => {
      const how = code === null ? `by ${signal}` : `with ${code}`;
      resolve({ how, lastWords });
    });
  });
  ended.catch(() => {}); // Whoever waits for it hears of it.
  return { pid: child.pid, ended, signal: (name) => void child.kill(name) };
};
