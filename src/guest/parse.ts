/**
 * The small program's own command line: arguments against a table of options.
 *
 * It takes what the whole program takes, `--name value`, `--name=value`, `-n value`, `--`, and says
 * the same of what is wrong. It knows no abbreviations.
 */

import { quote, UsageError } from "../model/errors.ts";
import type {
  ArgumentSpec,
  Call,
  ExitMeaning,
  GuestCommand,
  OptionSpec,
  Options,
} from "./command.ts";

interface Known {
  readonly name: string;
  readonly takesValue: boolean;
  readonly spec: OptionSpec;
}

/**
 * What a command line means to this command; `"help"` when it asks for help.
 *
 * @throws {UsageError} if it is wrong.
 */
export function parse(
  argv: readonly string[],
  command: GuestCommand,
  env: Readonly<Record<string, string | undefined>>,
): Call | "help" {
  const known = optionsOf(command.options ?? []);
  const given = new Map<string, string[]>();
  const args: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      args.push(...rest);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      continue;
    }
    if (word === "--help" || word === "-h") return "help";
    const { option, value } = readOption(word, known, rest);
    if (option.spec.repeatable !== true) given.delete(option.name);
    given.set(option.name, [...(given.get(option.name) ?? []), ...valuesOf(option.spec, value)]);
  }
  checkArguments(args, command.arguments ?? []);
  fillIn(given, known, env);
  return { args, options: options(given, known) };
}

function readOption(
  word: string,
  known: ReadonlyMap<string, Known>,
  rest: string[],
): { option: Known; value: string } {
  const equals = word.startsWith("--") ? word.indexOf("=") : -1;
  const flag = equals === -1 ? word : word.slice(0, equals);
  const option = known.get(flag);
  if (option === undefined) throw new UsageError(`unknown option ${quote(flag)}`);
  if (!option.takesValue) {
    if (equals !== -1) throw new UsageError(`${flag} takes no value`);
    return { option, value: "" };
  }
  const value = equals === -1 ? rest.shift() : word.slice(equals + 1);
  if (value === undefined) throw new UsageError(`option '${option.spec.flags}' argument missing`);
  return { option, value };
}

function valuesOf({ repeatable, choices, flags }: OptionSpec, value: string): string[] {
  const values = repeatable === true ? value.split(",").filter((part) => part !== "") : [value];
  for (const one of choices === undefined ? [] : values) {
    if (choices?.includes(one)) continue;
    throw new UsageError(`${flags}: ${quote(one)} is none of ${choices?.join(", ")}`);
  }
  return values;
}

/** Environment variables and defaults, for what was not given. */
function fillIn(
  given: Map<string, string[]>,
  known: ReadonlyMap<string, Known>,
  env: Readonly<Record<string, string | undefined>>,
): void {
  for (const { name, spec } of known.values()) {
    const value = (spec.env === undefined ? undefined : env[spec.env]) ?? spec.default;
    if (value !== undefined && !given.has(name)) given.set(name, valuesOf(spec, value));
  }
}

function checkArguments(args: readonly string[], specs: readonly ArgumentSpec[]): void {
  const most = specs.some(({ name }) => name.includes("...")) ? Infinity : specs.length;
  if (args.length > most) throw new UsageError(`too many arguments: ${quote(args[most] ?? "")}`);
  const needed = specs.filter(({ name }) => name.startsWith("<")).length;
  if (args.length < needed) {
    throw new UsageError(`missing required argument ${specs[args.length]?.name}`);
  }
}

/** By every flag that means them: `-v` and `--verbose`. */
function optionsOf(specs: readonly OptionSpec[]): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>();
  for (const spec of specs) {
    const flags = spec.flags.match(/(?<![\w-])--?[a-z][\w-]*/g) ?? [];
    const name = (flags.find((flag) => flag.startsWith("--")) ?? "").slice(2);
    for (const flag of flags) known.set(flag, { name, takesValue: spec.flags.includes("<"), spec });
  }
  return known;
}

function options(
  given: ReadonlyMap<string, readonly string[]>,
  known: ReadonlyMap<string, Known>,
): Options {
  const declared = new Set([...known.values()].map(({ name }) => name));
  const get = (name: string): readonly string[] | undefined => {
    if (!declared.has(name)) throw new Error(`the command declares no option --${name}`);
    return given.get(name);
  };
  return {
    string: (name) => get(name)?.at(-1),
    strings: (name) => get(name) ?? [],
    flag: (name) => get(name) !== undefined,
  };
}

/** The help of one command. */
export function helpOf(path: string, summary: string, command: GuestCommand): string {
  const args = (command.arguments ?? []).map(({ name }) => ` ${name}`).join("");
  const rows = [
    ...(command.options ?? []).map((spec): [string, string] => [spec.flags, describe(spec)]),
    ["-h, --help", "display help for command"] as const,
  ];
  const argumentRows = (command.arguments ?? []).map(
    ({ name, summary: what }) => [name.replace(/[[\]<>]/g, ""), what] as const,
  );
  return [
    `Usage: ${path} [options]${args}`,
    "",
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    ...(command.description === undefined ? [] : ["", wrap(command.description)]),
    ...section("Arguments", argumentRows),
    ...section("Options", rows),
    ...exitCodes(command.exits),
    ...examples(command.examples),
  ].join("\n");
}

/** Paragraphs, in lines of 80 columns. */
function wrap(text: string): string {
  return text.replace(/(?=.{81})(.{1,80}) /g, "$1\n");
}

/** Two columns under a title; nothing for no rows. */
export function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  if (rows.length === 0) return [];
  return ["", `${title}:`, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)];
}

export function exitCodes(list: readonly ExitMeaning[]): string[] {
  return section(
    "Exit codes",
    list.map(([code, meaning]) => [String(code), meaning]),
  );
}

export function examples(list: GuestCommand["examples"]): string[] {
  if (list.length === 0) return [];
  return ["", "Examples:", ...list.flatMap(([line, what]) => [`  ${line}`, `      ${what}`])];
}

function describe({ summary, choices, default: usual, env }: OptionSpec): string {
  const more = [
    ...(choices === undefined ? [] : [`choices: ${choices.map((one) => `"${one}"`).join(", ")}`]),
    ...(usual === undefined ? [] : [`default: "${usual}"`]),
    ...(env === undefined ? [] : [`env: ${env}`]),
  ];
  return more.length === 0 ? summary : `${summary} (${more.join(", ")})`;
}
