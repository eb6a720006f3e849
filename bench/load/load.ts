/**
 * The C programs of the measurement: compiled once a run, started on the load's CPU, their one
 * line of JSON read. What they do is told in `load.c` and `probe.c`.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { endGroup, LOAD_CPU, pinned, register, urgently } from "../process.ts";

const HERE = import.meta.dirname;
const SOURCES = {
  load: join(HERE, "load.c"),
  probe: join(HERE, "probe.c"),
  epoll: join(HERE, "..", "peers", "epoll.c"),
};

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly ms: Percentiles;
}

export interface ProbeResult {
  readonly requests: number;
  readonly errors: number;
  /** Wall clock at which the awaited body was there; 0 if it never was. */
  readonly seenMs: number;
  readonly ms: Pick<Percentiles, "p50" | "p99" | "max">;
}

/** Compiles every C program into `directory`. */
export function compile(directory: string): Record<keyof typeof SOURCES, string> {
  const build = (name: keyof typeof SOURCES): string => {
    const output = join(directory, name);
    execFileSync("cc", ["-O2", "-Wall", "-o", output, SOURCES[name]], { stdio: "inherit" });
    return output;
  };
  return { load: build("load"), probe: build("probe"), epoll: build("epoll") };
}

/** Runs the load generator to its end. */
export async function runLoad(program: string, args: readonly string[]): Promise<LoadResult> {
  return (await startTool(program, args).result) as LoadResult;
}

export interface Paced {
  /** Asks no more, waits for what is under way, and gives the result. */
  finish(): Promise<LoadResult>;
}

/** Starts the load generator with `--rate`. */
export function startLoad(program: string, args: readonly string[]): Paced {
  const { child, result } = startTool(program, args, urgently);
  result.catch(() => {});
  return {
    finish: () => {
      child.stdin?.end();
      return result as Promise<LoadResult>;
    },
  };
}

/** Which errors there were, `undefined` for none: `12 reset, 3 timeout`. */
export function errorsOf({ errors, kinds }: LoadResult): string | undefined {
  if (errors === 0) return undefined;
  const present = Object.entries(kinds).filter(([, number]) => number > 0);
  return present.map(([kind, number]) => `${number} ${kind}`).join(", ");
}

export interface Probe {
  readonly result: Promise<ProbeResult>;
  /** Ends a probe that waits for nothing, and gives its result. */
  finish(): Promise<ProbeResult>;
}

export interface ProbeOptions {
  readonly port: number;
  readonly source: string;
  readonly path: string;
  readonly intervalUs: number;
  /** The body that ends it. */
  readonly until?: string;
  readonly limitMs?: number;
}

export function startProbe(program: string, options: ProbeOptions): Probe {
  const { child, result } = startTool(program, [
    ...["--port", String(options.port), "--source", options.source, "--path", options.path],
    ...["--interval-us", String(options.intervalUs)],
    ...(options.until === undefined ? [] : ["--until", options.until]),
    ...(options.limitMs === undefined ? [] : ["--limit-ms", String(options.limitMs)]),
  ]);
  const probed = result as Promise<ProbeResult>;
  // Who only waits for the result of another probe must not die of this one's.
  probed.catch(() => {});
  return {
    result: probed,
    finish: () => {
      child.stdin?.end();
      return probed;
    },
  };
}

function startTool(
  program: string,
  args: readonly string[],
  how: (argv: readonly string[]) => readonly string[] = (argv) => argv,
): { child: ChildProcess; result: Promise<unknown> } {
  const [file = "", ...rest] = pinned(LOAD_CPU, how([program, ...args]));
  const child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const pid = register(child);
  const result = new Promise<unknown>((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      endGroup(pid);
      if (text.trim() !== "") resolve(JSON.parse(text));
      else reject(new Error(`${program} ended with ${code} and said nothing`));
    });
  });
  return { child, result };
}
