/**
 * Completions, by @bomb.sh/tab: the shell's script asks `frontdesk complete -- WORDS…`, and the
 * answer comes from the same table of commands as the help.
 */

import { type Complete, RootCommand } from "@bomb.sh/tab";
import { Argument, Option } from "commander";
import type { Command, Entry, OptionSpec } from "./command.ts";
import { load } from "./program.ts";

type Node = ReturnType<RootCommand["command"]>;

/** Tells the shell to complete file names; the library itself never says so (see `complete`). */
const DIRECTIVE_FILES = ":0";

/** The words of a command line so far; the last one is being typed. */
export interface Asked {
  readonly words: readonly string[];
  /** Behind `help`: only names of commands follow. */
  readonly isHelp: boolean;
}

/** Takes `help` out: `help router f` asks for what `router f` may become. */
export async function readWords(
  entries: readonly Entry[],
  words: readonly string[],
): Promise<Asked> {
  let at = entries;
  for (const [place, word] of words.slice(0, -1).entries()) {
    if (at.length > 0 && word === "help") {
      return { words: words.filter((_, index) => index !== place), isHelp: true };
    }
    const entry = at.find(({ name }) => name === word);
    if (entry === undefined) break;
    at = (await load(entry)).commands ?? [];
  }
  return { words, isHelp: false };
}

/**
 * Describes the table of commands to the library, for the words of a command line so far.
 * Only the command that they name is loaded: a shell asks at each press of a key.
 */
export async function describe(
  entries: readonly Entry[],
  { words, isHelp }: Asked,
): Promise<RootCommand> {
  const root = new RootCommand();
  if (!isHelp) {
    root.option("help", "print help");
    root.option("version", "print the version and the runtime");
  }
  await addAll(root, { prefix: "", entries, words, isHelp });
  if (!isHelp) root.command("help", "print help on a command");
  return root;
}

/**
 * The candidates for the last of `words`, one a line, and the library's directive.
 *
 * The library writes to the console, and forbids file names even where it knows no candidate. Most
 * of our arguments are files, so an empty answer becomes "complete files".
 */
export function complete(root: RootCommand, { words, isHelp }: Asked): readonly string[] {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: unknown): void => {
    lines.push(String(line));
  };
  try {
    root.parse([...words]);
  } finally {
    console.log = log;
  }
  const last = words.at(-1) ?? "";
  const isFile = lines.length === 1 && !last.startsWith("-") && !isHelp;
  return isFile ? [DIRECTIVE_FILES] : lines;
}

interface Level extends Asked {
  /** The names above, each with a space after it. */
  readonly prefix: string;
  readonly entries: readonly Entry[];
}

async function addAll(root: RootCommand, { prefix, entries, words, isHelp }: Level): Promise<void> {
  const [named, ...rest] = words;
  for (const entry of entries.filter((entry) => entry.hidden !== true)) {
    const path = `${prefix}${entry.name}`;
    const node = root.command(path, entry.summary);
    if (entry.name !== named) continue;
    const command = await load(entry);
    if (!isHelp) add(node, command);
    const commands = command.commands ?? [];
    await addAll(root, { prefix: `${path} `, entries: commands, words: rest, isHelp });
  }
}

function add(node: Node, command: Command): void {
  for (const spec of command.options ?? []) addOption(node, spec);
  node.option("help", "print help");
  for (const { name, choices } of command.arguments ?? []) {
    const argument = new Argument(name);
    node.argument(argument.name(), choices && offer(choices), argument.variadic);
  }
}

function addOption(node: Node, { flags, summary, choices }: OptionSpec): void {
  const option = new Option(flags);
  if (option.required || option.optional) {
    node.option(option.name(), summary, offer(choices ?? []));
  } else {
    node.option(option.name(), summary);
  }
}

/** Says that a value follows, and which ones are known. */
function offer(choices: readonly string[]): (give: Complete) => void {
  return (give) => {
    for (const choice of choices) give(choice, "");
  };
}
