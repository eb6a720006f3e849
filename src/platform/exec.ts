/**
 * Runs a program to its end: arguments as a list, no shell, a time limit, bounded output.
 *
 * An exit code that is not 0 is an answer, not an error: the caller knows what it means. What
 * rejects is a program that is missing, takes too long or says too much.
 */

import { spawn } from "node:child_process";
import { ExecError } from "../model/errors.ts";

/** Longer than any of the small tools that we run should take, even on a busy machine. */
const TIMEOUT_MS = 10_000;
/** Bytes of each stream. A ruleset of 10,000 sets is about 4 MiB. */
const OUTPUT_BYTES_MAX = 16 << 20;
/** Where the tools of an administrator lie; the caller's PATH may lack the sbin ones. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ExecOptions {
  /** What the program reads on stdin; nothing by default. */
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly outputBytesMax?: number;
  /** Added to the caller's environment, of which PATH is completed and the language is `C`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Executed {
  /** The exit code; 128 for a program that was ended by somebody's signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How programs are run; tests pass their own. */
export type Exec = (argv: readonly string[], options?: ExecOptions) => Promise<Executed>;

/**
 * Runs `argv[0]` with the rest as its arguments.
 *
 * @throws {ExecError} if it cannot be started, takes too long, is aborted or says too much.
 */
export const exec: Exec = (argv, options = {}) => {
  const [file = "", ...args] = argv;
  const path = process.env.PATH === undefined ? PATH : `${process.env.PATH}:${PATH}`;
  const env = { ...process.env, PATH: path, LC_ALL: "C", ...options.env };
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    const bytesMax = options.outputBytesMax ?? OUTPUT_BYTES_MAX;
    let failure: ExecError | undefined;
    const stop = (code: ExecError["code"], message: string): void => {
      failure ??= new ExecError(code, `${file}: ${message}`);
      child.kill("SIGKILL");
      // A grandchild may hold the pipes open; the answer does not wait for it.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const gather = (stream: NodeJS.ReadableStream): (() => string) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= bytesMax) chunks.push(chunk);
        else stop("PROGRAM_OUTPUT", `said more than ${bytesMax} bytes`);
      });
      return () => Buffer.concat(chunks).toString();
    };
    const stdout = gather(child.stdout);
    const stderr = gather(child.stderr);
    const limit = options.timeoutMs ?? TIMEOUT_MS;
    const timer = setTimeout(() => stop("PROGRAM_TIMEOUT", `not done after ${limit} ms`), limit);
    const abort = (): void => stop("PROGRAM_TIMEOUT", "ended before it was done");
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
    };
    options.signal?.addEventListener("abort", abort);
    child.on("error", (cause) => {
      settle();
      reject(new ExecError("PROGRAM_MISSING", `${file} cannot be started`, { cause }));
    });
    child.on("close", (code) => {
      settle();
      if (failure !== undefined) reject(failure);
      else resolve({ code: code ?? 128, stdout: stdout(), stderr: stderr() });
    });
    child.stdin.on("error", () => {}); // It may end before it has read its input.
    child.stdin.end(options.input ?? "");
    if (options.signal?.aborted === true) abort();
  });
};
