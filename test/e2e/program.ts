/**
 * Programs that a test starts: one that runs to its end, or one that serves while the test asks.
 *
 * Everything has a time limit, and a program that still runs when its test ends is killed.
 */

import { spawn } from "node:child_process";
import { onEnd } from "./leftovers.ts";

/** A command that takes longer is stuck: the slowest, a stage of cloud-init, takes 2 s. */
const RUN_MS_MAX = 20_000;
/** A program that is asked to end has this long before it is killed. */
const STOP_MS_MAX = 5_000;
/** Output beyond this is not kept. */
const OUTPUT_BYTES_MAX = 4 << 20;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** What a program that has ended left. */
export interface Done {
  /** Its exit code; 128 + number for a signal, as a shell says it. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** Everything it has printed so far, both streams. */
  output(): string;
  /** Resolves when it has ended. */
  readonly ended: Promise<Done>;
  signal(name: NodeJS.Signals): void;
  /** Resolves when the output matches; rejects when the program ends first, or after a while. */
  says(pattern: RegExp, timeoutMs?: number): Promise<void>;
}

/** Runs a program to its end. It is killed, and the promise rejects, when it takes too long. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Done> {
  const program = start(argv, options);
  const limit = options.timeoutMs ?? RUN_MS_MAX;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    program.signal("SIGKILL");
  }, limit);
  const done = await program.ended;
  clearTimeout(timer);
  if (late) throw new Error(`${argv.join(" ")}: not done after ${limit} ms\n${program.output()}`);
  return done;
}

/** As `run`, and rejects with the program's words when the exit code is not 0. */
export async function ok(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const done = await run(argv, options);
  const text = done.stdout.toString();
  if (done.code === 0) return text;
  throw new Error(`${argv.join(" ")}: exit ${done.code}\n${text}${done.stderr}`);
}

/** Starts a program that keeps running. */
export function start(argv: readonly string[], options: RunOptions = {}): Program {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const all: Buffer[] = [];
  let bytes = 0;
  const keep = (list: Buffer[]) => (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_BYTES_MAX) return;
    list.push(chunk);
    all.push(chunk);
  };
  child.stdout.on("data", keep(out));
  child.stderr.on("data", keep(err));
  child.stdin.on("error", () => {}); // It may end before it has read its input.
  child.stdin.end(options.input ?? "");
  const signal = (name: NodeJS.Signals): void => {
    child.kill(name);
  };
  const forget = onEnd(() => signal("SIGKILL"));
  const output = (): string => Buffer.concat(all).toString();
  let running = true;
  const ended = new Promise<Done>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, name) => {
      running = false;
      forget();
      const status = code ?? 128 + (name === null ? 0 : (SIGNALS[name] ?? 0));
      resolve({ code: status, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() });
    });
  });
  ended.catch(() => {}); // Whoever waits for it hears of it.
  return {
    pid: child.pid ?? 0,
    output,
    ended,
    signal,
    async says(pattern, timeoutMs = RUN_MS_MAX) {
      await until(`${file} to say ${pattern}`, timeoutMs, () => {
        if (pattern.test(output())) return true;
        if (!running) throw new Error(`${argv.join(" ")} ended:\n${output()}`);
        return false;
      }).catch((error: Error) => {
        throw new Error(`${error.message}\n${output()}`);
      });
    },
    async [Symbol.asyncDispose]() {
      if (!running) return;
      signal("SIGTERM");
      const timer = setTimeout(() => signal("SIGKILL"), STOP_MS_MAX);
      await ended.catch(() => {});
      clearTimeout(timer);
    },
  };
}

/**
 * What a promise is rejected with. `expect(…).rejects` waits for it in an event loop of its own,
 * which now and then never hears that another process has ended.
 */
export async function rejection(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "nothing: it was fulfilled",
    (error: unknown) => String(error),
  );
}

/** Asks again every few milliseconds until the answer is true. */
export async function until(
  what: string,
  timeoutMs: number,
  ask: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const SIGNALS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
