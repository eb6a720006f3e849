/**
 * Makes a command line out of a table of commands.
 *
 * Only the command that is named is loaded. Wrong usage is one line on stderr and exit code 2;
 * whatever a command throws is reported by `failure`.
 */

import assert from "node:assert/strict";
import { Argument, Command as Commander, CommanderError, Option } from "commander";
import { nearest } from "../config/nearest.ts";
import { clean } from "../model/clean.ts";
import { MetadataError, UsageError } from "../model/errors.ts";
import {
  type ArgumentSpec,
  type Command,
  type Entry,
  EXIT,
  EXIT_MEANINGS,
  type Example,
  type ExitCode,
  type OptionSpec,
  type Options,
} from "./command.ts";
import { afterHelp, HELP } from "./help.ts";
import type { Output } from "./output.ts";

export interface ProgramOptions {
  readonly name: string;
  readonly summary: string;
  readonly versionLine: string;
  readonly examples: readonly Example[];
  readonly entries: readonly Entry[];
  readonly out: Output;
  /** With FRONTDESK_DEBUG=1 a bug shows its stack trace. */
  readonly debug: boolean;
  /** The command that whoever is at the keyboard wrote, where it has started this one. */
  readonly startedBy?: string | undefined;
}

/** Runs one command line, without the program's own name. Never rejects. */
export async function runProgram(
  argv: readonly string[],
  options: ProgramOptions,
): Promise<ExitCode> {
  const state: RunState = { code: EXIT.done, at: options.name, out: options.out };
  try {
    const program = await build(argv, options, state);
    const words = spelled(program, argv, state);
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync([...words], { from: "user" });
    return state.code;
  } catch (error) {
    return failure(error, options.startedBy ?? state.at, options);
  }
}

interface RunState {
  code: ExitCode;
  /** The command that is at work, for `try: … --help`. */
  at: string;
  readonly out: Output;
}

async function build(
  argv: readonly string[],
  options: ProgramOptions,
  state: RunState,
): Promise<Commander> {
  const program = new Commander(options.name);
  program.description(options.summary);
  program.version(options.versionLine, "-V, --version", "print the version and the runtime");
  // Commands print through `out`; commander prints help, and its complaints are thrown.
  program.configureOutput({ writeOut: (text) => options.out.print(text.trimEnd()), writeErr() {} });
  program.exitOverride();
  // An option after the name of a command is that one's, also where the one above has it too.
  program.enablePositionalOptions();
  program.configureHelp(HELP);
  const hint = `${options.name} COMMAND --help says more of a command.`;
  const more = { exits: EXIT_MEANINGS, examples: options.examples, hint };
  program.addHelpText("after", () => afterHelp(more));
  const named = argv[0] === "help" ? argv[1] : argv[0];
  for (const entry of options.entries) {
    const command = program.command(entry.name, { hidden: entry.hidden === true });
    command.description(entry.summary).summary(entry.summary);
    if (entry.name === named) await fill(command, await load(entry), state);
  }
  return program;
}

/**
 * The words as commander takes them: `help router firewall` is `router firewall --help`. A name
 * that no command has is said here, before `--help` beside it hides the mistake.
 *
 * @throws {UsageError} if there is no such command.
 */
function spelled(program: Commander, argv: readonly string[], state: RunState): readonly string[] {
  let at = program;
  for (const [place, word] of argv.entries()) {
    if (word.startsWith("-") || at.commands.length === 0) break;
    if (at.registeredArguments.length > 0) break; // Its words may be anything.
    if (word === "help") {
      const others = argv.filter((_, index) => index !== place);
      return spelled(program, [...others.filter((other) => !isHelp(other)), "--help"], state);
    }
    const next = at.commands.find((command) => command.name() === word);
    state.at = pathOf(at);
    if (next === undefined) throw new UsageError(unknownCommand(word, at));
    at = next;
  }
  return argv;
}

const isHelp = (word: string): boolean => word === "help" || word === "--help" || word === "-h";

function unknownCommand(word: string, at: Commander): string {
  const shown = at.createHelp().visibleCommands(at);
  const names = shown.map((command) => command.name());
  const begun = names.filter((name) => name.startsWith(word));
  const meant = begun.length === 1 ? begun[0] : nearest(word, names);
  return `unknown command '${word}'${meant === undefined ? "" : ` (did you mean ${meant}?)`}`;
}

async function fill(commander: Commander, command: Command, state: RunState): Promise<void> {
  const path = pathOf(commander);
  const what = `${capital(commander.summary())}.`;
  const more = command.description === undefined ? "" : `\n\n${command.description}`;
  commander.description(what + more);
  for (const spec of command.arguments ?? []) commander.addArgument(toArgument(spec));
  for (const spec of command.options ?? []) commander.addOption(toOption(spec));
  commander.addHelpText("after", () => afterHelp(command));
  commander.enablePositionalOptions();
  for (const entry of command.commands ?? []) {
    const child = commander.command(entry.name, { hidden: entry.hidden === true });
    child.description(entry.summary).summary(entry.summary);
    await fill(child, await load(entry), state);
  }
  commander.exitOverride((error) => {
    state.at = path;
    // Commander's answer to a group without one of its commands is the whole help, on stderr.
    if (error.code === "commander.help" && error.exitCode !== 0) {
      const names = (command.commands ?? []).map((entry) => entry.name).join(", ");
      throw new UsageError(`${path} needs one of: ${names}`);
    }
    throw error;
  });
  const { run } = command;
  if (run === undefined) return;
  commander.action(async () => {
    state.at = path;
    const values = optionsOf(commander.opts(), command.options ?? []);
    state.code = await run.call(command, {
      args: commander.args,
      options: values,
      out: state.out,
    });
  });
}

/** Loads one line of the table. */
export async function load(entry: Entry): Promise<Command> {
  const command = (await entry.load())[entry.name];
  assert.ok(command, `the module of "${entry.name}" exports no command of that name`);
  return command;
}

/** The named options of one call; asking for one that was not declared is a bug. */
function optionsOf(values: Record<string, unknown>, specs: readonly OptionSpec[]): Options {
  const keys = new Map(
    specs.map((spec) => {
      const option = new Option(spec.flags);
      return [option.name(), { key: option.attributeName(), repeatable: spec.repeatable === true }];
    }),
  );
  const get = (name: string, repeatable: boolean): unknown => {
    const found = keys.get(name);
    assert.ok(found, `the command declares no option --${name}`);
    assert.equal(found.repeatable, repeatable, `--${name}: one value, or several?`);
    return values[found.key];
  };
  return {
    string: (name) => {
      const value = get(name, false);
      assert.ok(value === undefined || typeof value === "string", `--${name} takes no value`);
      return value;
    },
    strings: (name) => (get(name, true) as readonly string[] | undefined) ?? [],
    flag: (name) => get(name, false) === true,
  };
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.summary);
  if (spec.choices !== undefined) option.choices([...spec.choices]);
  if (spec.repeatable === true) {
    option.argParser<string[]>((value, earlier) => [
      ...(earlier ?? []),
      ...value.split(",").filter((part) => part !== ""),
    ]);
  }
  if (spec.default !== undefined) option.default(spec.default);
  if (spec.usual !== undefined) option.default(undefined, spec.usual);
  if (spec.env !== undefined) option.env(spec.env);
  if (spec.required === true) option.makeOptionMandatory();
  return option;
}

function toArgument(spec: ArgumentSpec): Argument {
  const argument = new Argument(spec.name, spec.summary);
  return spec.choices === undefined ? argument : argument.choices([...spec.choices]);
}

/**
 * One line about what went wrong, and the exit code for it.
 *
 * A usage error says where help is; an error that is not a `MetadataError` is a bug, and its
 * trace is shown only on request.
 */
function failure(error: unknown, at: string, { name, out, debug }: ProgramOptions): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.done;
    out.note(`${name}: ${oneLine(error.message)}; try: ${at} --help`);
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    out.note(`${name}: ${oneLine(error.message)}; try: ${at} --help`);
    return EXIT.usage;
  }
  if (error instanceof MetadataError) {
    out.note(`${name}: ${oneLine(error.message)}`);
    return error.code === "CONFIG" ? EXIT.usage : EXIT.failed;
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = debug ? "" : " (set FRONTDESK_DEBUG=1 for the trace)";
  out.note(`${name}: this is a bug, please report it: ${oneLine(message)}${hint}`);
  if (debug && error instanceof Error) out.note(error.stack ?? "");
  return EXIT.failed;
}

/** One harmless line: a message may hold what the user, or a file, said. */
function oneLine(text: string): string {
  const line = text
    .replace(/^error: /, "")
    .replace(
      /^command-argument value '(.*)' is invalid for argument '(.*)'\. Allowed choices are /s,
      "$2 '$1' is none of ",
    )
    .replace(/\n\(Did you mean (.*)\?\)$/s, " (did you mean $1?)")
    .replace(/\s*[\r\n]+\s*/g, " ")
    .trim();
  return clean(line.replace(/\.$/, ""));
}

function pathOf(commander: Commander): string {
  return commander.parent === null
    ? commander.name()
    : `${pathOf(commander.parent)} ${commander.name()}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
