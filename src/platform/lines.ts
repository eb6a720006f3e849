/**
 * Runs a program and hands over what it says line by line, as it comes: for output that is too
 * long to keep, and for programs that never end.
 *
 * Each piece that the pipe brings is handled in a turn of its own, so that others run in between.
 */

import { spawn } from "node:child_process";
import { ExecError } from "../model/errors.ts";

/** Characters of a line. A line of the tools that we read has 200 at most; a longer one is lost. */
const LINE_CHARS_MAX = 4096;
/** Characters of complaints that are kept. */
const COMPLAINT_CHARS_MAX = 1000;
/** Where the tools of an administrator lie; the caller's PATH may lack the sbin ones. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface LinesOptions {
  readonly onLine: (line: string) => void;
  /** What it says on stderr, as it comes. */
  readonly onComplaint?: (line: string) => void;
  /** What the program reads on stdin; nothing by default. */
  readonly input?: string;
}

export interface Ended {
  /** The exit code; 128 for a program that was ended by a signal. */
  readonly code: number;
  /** The first of what it said on stderr. */
  readonly complaint: string;
}

export interface Running {
  /** Resolves when it has ended and its last line was handed over. */
  readonly ended: Promise<Ended>;
  stop(): void;
}

/** How programs are followed; tests pass their own. */
export type StartLines = (argv: readonly string[], options: LinesOptions) => Running;

/** Starts `argv[0]`. `ended` rejects with an `ExecError` where it cannot be started. */
export const startLines: StartLines = (argv, { onLine, onComplaint, input }) => {
  const [file = "", ...args] = argv;
  const path = process.env.PATH === undefined ? PATH : `${process.env.PATH}:${PATH}`;
  const child = spawn(file, args, {
    env: { ...process.env, PATH: path, LC_ALL: "C" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaint = "";
  const out = lines(onLine);
  const err = lines((line) => {
    if (complaint.length < COMPLAINT_CHARS_MAX) complaint += `${complaint && "; "}${line}`;
    onComplaint?.(line);
  });
  child.stdout.setEncoding("utf8").on("data", out.add).on("end", out.end);
  child.stderr.setEncoding("utf8").on("data", err.add).on("end", err.end);
  child.stdin.on("error", () => {}); // It may end before it has read its input.
  child.stdin.end(input ?? "");
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", (cause) => {
      reject(new ExecError("PROGRAM_MISSING", `${file} cannot be started`, { cause }));
    });
    child.on("close", (code) => resolve({ code: code ?? 128, complaint }));
  });
  ended.catch(() => {}); // Whoever waits for it hears of it.
  return { ended, stop: () => void child.kill("SIGKILL") };
};

/** Cuts pieces of text into lines. */
function lines(onLine: (line: string) => void): { add(text: string): void; end(): void } {
  let rest = "";
  return {
    add(text) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) if (part.length <= LINE_CHARS_MAX) onLine(part);
      // What is too long already is not kept; one character remembers that it was.
      if (rest.length > LINE_CHARS_MAX) rest = rest.slice(0, LINE_CHARS_MAX + 1);
    },
    end() {
      if (rest !== "" && rest.length <= LINE_CHARS_MAX) onLine(rest);
      rest = "";
    },
  };
}
