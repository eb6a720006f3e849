/**
 * What a guest command is: its options as data, so that the small program's own parser and help,
 * and the whole program's, come from one table and cannot differ.
 *
 * The shape is that of the whole program's commands (src/cli/command.ts), which takes it as it is.
 */

import { type Identity, identity } from "./cache-file.ts";
import { openConsole, type Sink, systemSinks } from "./console.ts";

/** 0 done · 1 failed, or absent · 2 wrong usage · 3 answered, but something needs attention. */
export type ExitCode = 0 | 1 | 2 | 3;

/** What an exit code says, for `--help`. */
export type ExitMeaning = readonly [code: ExitCode, meaning: string];

/** What holds for the program as a whole; a command says what each means of it. */
export const EXIT_MEANINGS: readonly ExitMeaning[] = [
  [0, "done"],
  [1, "failed, or absent; the reason is one line on standard error"],
  [2, "called wrongly"],
  [3, "answered, but something needs attention"],
];

export interface OptionSpec {
  /** `--json`, `--wait <seconds>`, `-v, --verbose`. */
  readonly flags: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly default?: string;
  /** May be given more than once; one value may also hold several, with commas between. */
  readonly repeatable?: boolean;
  /** The environment variable that stands in for an absent flag. */
  readonly env?: string;
}

export interface ArgumentSpec {
  /** `[path]` */
  readonly name: string;
  readonly summary: string;
}

/** The options of one call, by their long name without dashes. */
export interface Options {
  string(name: string): string | undefined;
  strings(name: string): readonly string[];
  flag(name: string): boolean;
}

export interface Call {
  readonly args: readonly string[];
  readonly options: Options;
}

export interface GuestCommand {
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** What its exit codes mean, lowest first. */
  readonly exits: readonly ExitMeaning[];
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** A thrown `MetadataError` becomes one line on stderr. */
  run(call: Call, outside?: World): Promise<ExitCode>;
}

/** A line of the table of commands. */
export interface GuestEntry {
  readonly name: string;
  /** One line, lower case, without a full stop. */
  readonly summary: string;
  /** Imports the command's module; its export called `name` is the command. */
  load(): Promise<Readonly<Record<string, GuestCommand>>>;
}

/** What a command has of the world; tests pass their own. */
export interface World {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly identity: Identity;
  /** Aborted when the program is asked to end. */
  readonly signal: AbortSignal;
}

/**
 * This process. A command that runs until it is asked to end does so in order; any other is ended
 * by the signal itself.
 */
export function world({ endsOnSignal = false }: { readonly endsOnSignal?: boolean } = {}): World {
  const stop = new AbortController();
  if (endsOnSignal) {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  }
  return { ...systemSinks(), identity: identity(), signal: stop.signal };
}

export function consoleOf({ stdout, stderr }: World): ReturnType<typeof openConsole> {
  return openConsole(stdout, stderr);
}
