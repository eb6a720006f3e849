/**
 * `frontdesk config check`: says all that is wrong with a configuration file, before it is used.
 */

import type { Problem } from "../../config/document.ts";
import { checkConfig } from "../../config/load.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { clean } from "../output.ts";

const check: Command = {
  description: "Prints each problem with its line and field, and exits with 2 when there is one.",
  arguments: [{ name: "<file>", summary: "the file that --config will name" }],
  options: [JSON_OPTION],
  examples: [
    ["frontdesk config check /etc/frontdesk.yaml", "before a restart"],
    ["frontdesk config check --json lab.yaml", "for an editor or a pipeline"],
  ],
  async run({ args: [path = ""], options, out }) {
    const report = await checkConfig(path);
    const good = report.problems.length === 0;
    if (options.flag("json")) out.json(report);
    else if (good) out.print(`${clean(path)}: nothing is wrong`);
    else for (const problem of report.problems) out.print(line(path, problem));
    return good ? EXIT.done : EXIT.usage;
  },
};

function line(path: string, { line, field, message }: Problem): string {
  return clean(`${path}:${line}: ${field === "" ? "" : `${field}: `}${message}`);
}

export const config: Command = {
  description: "The file's format is described in docs/formats/config.md.",
  examples: [["frontdesk config check /etc/frontdesk.yaml", "before a restart"]],
  commands: [
    { name: "check", summary: "say all that is wrong with a file", load: async () => ({ check }) },
  ],
};
