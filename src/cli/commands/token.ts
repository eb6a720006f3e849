/**
 * `frontdesk token`: who may use a controller's operator API.
 */

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { createToken, ROLES, type Role, readTokens, removeToken } from "../../controller/tokens.ts";
import { StateError } from "../../model/errors.ts";
import { type Command, EXIT, JSON_OPTION, type OptionSpec, type Options } from "../command.ts";
import { defaultStateDir, defaultTokens, STATE_DIR_WORD, shownStateDir } from "../state-dir.ts";

// biome-ignore format: a table reads best with one line for each option
const OPTIONS: readonly OptionSpec[] = [
  { flags: "--tokens-file <file>", summary: "the file that the controller reads", usual: defaultTokens(STATE_DIR_WORD), env: "FRONTDESK_TOKENS_FILE" },
  { flags: "--state-dir <dir>", summary: "the controller's state directory", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
  JSON_OPTION,
];

const NAME = { name: "<name>", summary: "whose it is: a person, a program" };

function fileOf(options: Options): string {
  const stateDir = options.string("state-dir") ?? defaultStateDir(process.env);
  return options.string("tokens-file") ?? defaultTokens(stateDir);
}

/** It is the controller that makes it: one made here would be one that nobody reads. */
function checkFolder(dir: string): void {
  if (existsSync(dir)) return;
  const how = "name the controller's with --state-dir";
  throw new StateError("STATE_UNREADABLE", `${dir}: no such state directory; ${how}`);
}

const create: Command = {
  description:
    "Prints the token once; the file keeps only its hash. A controller that runs takes it at " +
    "once. read lists and follows, write changes instances, admin also networks.",
  arguments: [NAME],
  options: [
    { flags: "--role <role>", summary: "what it may do", choices: ROLES, required: true },
    ...OPTIONS,
  ],
  examples: [["frontdesk token create ci --role write", "for a pipeline"]],
  async run({ args: [name = ""], options, out }) {
    const role = options.string("role") as Role;
    const file = fileOf(options);
    checkFolder(dirname(file));
    const token = await createToken(file, { name, role });
    if (options.flag("json")) out.json({ name, role, token, file });
    else {
      out.print(token);
      out.note("nobody can show it again: keep it, as FRONTDESK_TOKEN for these commands");
    }
    return EXIT.done;
  },
};

const list: Command = {
  options: OPTIONS,
  examples: [["frontdesk token list", "names and roles, never a token"]],
  async run({ options, out }) {
    const entries = await readTokens(fileOf(options));
    const shown = entries.map(({ name, role }) => ({ name, role }));
    if (options.flag("json")) out.json(shown);
    else {
      out.table(
        ["NAME", "ROLE"],
        shown.map(({ name, role }) => [name, role]),
      );
      if (shown.length === 0) out.note("there are no tokens but the one of admin.env, if any");
    }
    return EXIT.done;
  },
};

const remove: Command = {
  arguments: [NAME],
  options: OPTIONS,
  examples: [["frontdesk token remove ci", "it counts no more, at once"]],
  async run({ args: [name = ""], options, out }) {
    await removeToken(fileOf(options), name);
    if (options.flag("json")) out.json({ removed: name });
    else out.note("removed");
    return EXIT.done;
  },
};

// biome-ignore format: a table reads best with one line for each command
export const token: Command = {
  description: "Works on the file that the controller reads, on the controller's machine.",
  examples: [
    ["frontdesk token create ci --role write", "make one"],
    ["frontdesk token remove ci", "take it away"],
  ],
  commands: [
    { name: "create", summary: "make a token and print it once", load: async () => ({ create }) },
    { name: "list", summary: "list names and roles", load: async () => ({ list }) },
    { name: "remove", summary: "take a token away", load: async () => ({ remove }) },
  ],
};
