/**
 * What a command is. To add one: write `commands/NAME.ts` that exports `const NAME: Command` and
 * nothing else, and add one line to the table in `commands/index.ts`.
 *
 * A command states its options as data. So help, completions, checks and environment variables
 * come from one place, and a command file reads like its own manual page.
 */

import type { Output } from "./output.ts";

/** What the shell gets. Scripts rely on these four. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong usage or configuration: trying again will not help. */
  usage: 2,
  /** Answered, but something needs attention. */
  attention: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What an exit code says, for `--help`. */
export type ExitMeaning = readonly [code: ExitCode, meaning: string];

/** What holds for every command; one that means something of its own says so in `exits`. */
export const EXIT_MEANINGS: readonly ExitMeaning[] = [
  [EXIT.done, "done"],
  [EXIT.failed, "failed; the reason is one line on standard error"],
  [EXIT.usage, "called or configured wrongly"],
  [EXIT.attention, "answered, but something needs attention"],
];

export interface OptionSpec {
  /** `--json`, `--source <where>`, `-n, --network <id>`. */
  readonly flags: string;
  readonly summary: string;
  /** May be given more than once; one value may also hold several, with commas between. */
  readonly repeatable?: boolean;
  readonly required?: boolean;
  readonly choices?: readonly string[];
  readonly default?: string;
  /** What holds when nobody says, where code works it out: only `--help` reads it. */
  readonly usual?: string;
  /** The environment variable that stands in for an absent flag: `FRONTDESK_SOURCE`. */
  readonly env?: string;
}

export interface ArgumentSpec {
  /** `<path>` needed, `[path]` optional, `<file...>` one or more. */
  readonly name: string;
  readonly summary: string;
  readonly choices?: readonly string[];
}

/** A command line that works as it stands, and what it is for. */
export type Example = readonly [line: string, what: string];

/** The options of one call, by their long name without dashes: `state-dir`. */
export interface Options {
  /** @throws {AssertionError} here and below, if the command declares no such option: a bug. */
  string(name: string): string | undefined;
  /** Of a repeatable option; empty when it was not given. */
  strings(name: string): readonly string[];
  flag(name: string): boolean;
}

export interface Invocation {
  readonly args: readonly string[];
  readonly options: Options;
  readonly out: Output;
}

export interface Command {
  /** More than the summary, for `--help`; short paragraphs. */
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** What its exit codes mean, lowest first, where that is more than `EXIT_MEANINGS` say. */
  readonly exits?: readonly ExitMeaning[];
  readonly examples: readonly Example[];
  /** Sub-commands: `config check` is `check` of `config`. */
  readonly commands?: readonly Entry[];
  /** Absent in a command that only groups others. A thrown `MetadataError` becomes one line. */
  run?(call: Invocation): Promise<ExitCode>;
}

/** A line of a table of commands. `load` keeps a command's code out of every other's start-up. */
export interface Entry {
  readonly name: string;
  /** One line, lower case, without a full stop. */
  readonly summary: string;
  /** Works, but is not shown by `--help`. */
  readonly hidden?: boolean;
  /** Imports the command's module; its export called `name` is the command. */
  load(): Promise<Readonly<Record<string, Command>>>;
}

/** For every command that prints data. */
export const JSON_OPTION: OptionSpec = { flags: "--json", summary: "print JSON, for programs" };
