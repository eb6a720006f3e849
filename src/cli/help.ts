/**
 * What `--help` prints beyond commander's own: the default of each option, exit codes, examples.
 */

import type { HelpConfiguration, Option } from "commander";
import type { Example, ExitMeaning } from "./command.ts";

export const HELP: HelpConfiguration = {
  // What a command takes stands in its own help.
  subcommandTerm: (command) => (command.name() === "help" ? "help [command]" : command.name()),
  optionDescription,
};

/** As commander writes it, and with defaults that code works out. */
function optionDescription(option: Option): string {
  const { description, argChoices, defaultValue, defaultValueDescription, envVar } = option;
  const usual = defaultValueDescription ?? (defaultValue && JSON.stringify(defaultValue));
  const more = [
    ...(argChoices === undefined ? [] : [`choices: ${argChoices.map(quoted).join(", ")}`]),
    ...(usual === undefined ? [] : [`default: ${usual}`]),
    ...(envVar === undefined ? [] : [`env: ${envVar}`]),
  ];
  return more.length === 0 ? description : `${description} (${more.join(", ")})`;
}

const quoted = (text: string): string => JSON.stringify(text);

interface After {
  readonly exits?: readonly ExitMeaning[];
  readonly examples: readonly Example[];
  readonly hint?: string;
}

/** What stands below the tables. */
export function afterHelp({ exits = [], examples, hint }: After): string {
  const codes = exits.map(([code, meaning]) => `  ${code}  ${meaning}`);
  const lines = examples.map(([line, what]) => `  ${line}\n      ${what}`);
  return [
    ...(codes.length === 0 ? [] : ["\nExit codes:", ...codes]),
    ...(lines.length === 0 ? [] : ["\nExamples:", ...lines]),
    ...(hint === undefined ? [] : [`\n${hint}`]),
  ].join("\n");
}
