/**
 * `frontdesk config check`: says all that is wrong with a file of settings or of instances, before
 * it is used.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Problem } from "../../config/document.ts";
import { checkConfig, type LoadedConfig } from "../../config/load.ts";
import { clean } from "../../model/clean.ts";
import { counted } from "../../model/count.ts";
import { ConfigError } from "../../model/errors.ts";
import { checkInstances, holdsInstances, type InstancesReport } from "../../source/file/check.ts";
import { FileProblem, readFile } from "../../source/file/files.ts";
import { FILE_BYTES_MAX } from "../../source/file/limits.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { groupsOf } from "../network-settings.ts";
import { routerProblems } from "../router-problems.ts";

const EXAMPLES = [
  ["frontdesk config check /etc/frontdesk.yaml", "settings, before a restart"],
  ["frontdesk config check lab.yaml", "instances, before --source file:lab.yaml reads them"],
] as const;

const check: Command = {
  description:
    "The content tells which of the two a file holds: settings, as --config takes them, or " +
    "instances, as --source file: does. Prints each problem with its line and field.",
  arguments: [{ name: "<file>", summary: "a file of settings or of instances; - is stdin" }],
  options: [JSON_OPTION],
  exits: [
    [EXIT.done, "nothing is wrong"],
    [EXIT.usage, "something is wrong with the file, or it cannot be read"],
    [
      EXIT.attention,
      "settings without a mistake, which frontdesk router or frontdesk controller would refuse",
    ],
  ],
  examples: [...EXAMPLES, ["generate-settings | frontdesk config check --json -", "in a pipeline"]],
  async run({ args: [path = ""], options, out }) {
    const { name, bytes } = path === "-" ? readStdin() : await read(path);
    const isInstances = holdsInstances(bytes);
    const what = isInstances ? "instances, for --source file:" : "settings, for --config";
    const report = isInstances ? await instances(bytes, name) : await settings(bytes, name);
    const good = report.problems.length === 0;
    if (options.flag("json")) out.json({ file: name, ...report });
    else if (good) {
      const holds = "holds" in report ? holdings(report.holds) : "";
      const verdict = "refused" in report ? "no mistake in itself" : "nothing is wrong";
      out.print(clean(`${shown(path)}: ${verdict} (${what}${holds})`));
    } else {
      for (const problem of report.problems) out.print(line(shown(path), problem));
      out.note(`frontdesk: checked as a file of ${what}`);
    }
    if (!good) return EXIT.usage;
    if (!("refused" in report)) return EXIT.done;
    const { refusedBy, refused } = report;
    out.note(clean(`frontdesk: ${refusedBy} refuses this file: ${refused}`));
    return EXIT.attention;
  },
};

async function instances(bytes: Buffer, name: string) {
  return { kind: "instances", ...(await checkInstances(bytes, name)) };
}

interface SettingsReport extends Partial<Refusal> {
  readonly kind: string;
  readonly problems: readonly Problem[];
  readonly config?: LoadedConfig["config"];
}

async function settings(bytes: Buffer, name: string): Promise<SettingsReport> {
  if (isBlank(bytes)) return { kind: "settings", problems: [EMPTY] };
  const { problems: ofForm, loaded, rest } = await checkConfig(bytes, name);
  const problems = [...ofForm];
  const known = loaded ?? rest;
  if (known !== undefined) {
    problems.push(...routerProblems(known), ...(await ofController(known)));
    problems.sort((a, b) => a.line - b.line);
  }
  if (problems.length > 0 || loaded === undefined) return { kind: "settings", problems };
  const refused = refusal(loaded) ?? (await refusalOfController(loaded));
  return { kind: "settings", problems, config: loaded.config, ...refused };
}

const EMPTY: Problem = { line: 1, field: "", message: "the file is empty" };

/** Whether there are only blank lines and comments: nobody asks for a check of nothing. */
function isBlank(bytes: Buffer): boolean {
  return bytes
    .toString()
    .split("\n")
    .every((line) => /^\ufeff?\s*(#|$)/.test(line));
}

/** The controller's own checks are loaded for a file that has something for it. */
async function ofController(loaded: LoadedConfig): Promise<readonly Problem[]> {
  if (loaded.config.controller === undefined) return [];
  const { controllerProblems } = await import("../controller-values.ts");
  return controllerProblems(loaded);
}

interface Refusal {
  readonly refused: string;
  readonly refusedBy: string;
}

/** Why the router does not start with it; `frontdesk router firewall` may take it. */
function refusal(loaded: LoadedConfig): Refusal | undefined {
  try {
    groupsOf(loaded);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) {
      return { refused: error.message, refusedBy: "frontdesk router" };
    }
    throw error;
  }
}

/** Why the controller does not, without flags that say more. */
async function refusalOfController(loaded: LoadedConfig): Promise<Refusal | undefined> {
  if (loaded.config.controller === undefined) return undefined;
  const { controllerRefusal } = await import("../controller-values.ts");
  const problem = controllerRefusal(loaded);
  if (problem === undefined) return undefined;
  return { refused: line(loaded.file, problem), refusedBy: "frontdesk controller" };
}

interface Content {
  /** For messages, and for paths that are relative to the file. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** @throws {ConfigError} if there is no such file, it cannot be read, or is too long. */
async function read(path: string): Promise<Content> {
  const name = resolve(path);
  try {
    const { bytes } = await readFile(path, FILE_BYTES_MAX, new AbortController().signal);
    return { name, bytes };
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error;
    throw new ConfigError(error.message, { file: name });
  }
}

function readStdin(): Content {
  return { name: "stdin", bytes: readFileSync(0) };
}

const shown = (path: string): string => (path === "-" ? "stdin" : path);

function line(file: string, { line, field, message }: Problem): string {
  return clean(`${file}:${line}: ${field === "" ? "" : `${field}: `}${message}`);
}

function holdings(holds: InstancesReport["holds"]): string {
  if (holds === undefined) return "";
  const { instances, addresses, networks } = holds;
  const at = counted(addresses, "address", "addresses");
  return `; ${counted(instances, "instance")} at ${at} in ${counted(networks, "network")}`;
}

export const config: Command = {
  description: "The formats are described in docs/formats/config.md and docs/formats/instances.md.",
  examples: EXAMPLES,
  commands: [
    {
      name: "check",
      summary: "say all that is wrong with a file of settings or instances",
      load: async () => ({ check }),
    },
  ],
};
