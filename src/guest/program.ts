/**
 * The small program: one command line, its table of commands, and what is said when it goes wrong.
 *
 * Exit codes and messages are those of the whole program's `frontdesk guest`.
 */

import { type MetadataError, UsageError } from "../model/errors.ts";
import { EXIT_MEANINGS, type ExitCode, type GuestEntry } from "./command.ts";
import { openConsole, type Sink } from "./console.ts";
import { examples, exitCodes, helpOf, parse, section } from "./parse.ts";

export interface ProgramOptions {
  /** What one types: `frontdesk-guest`. */
  readonly name: string;
  readonly versionLine: string;
  readonly entries: readonly GuestEntry[];
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const SUMMARY = "Instance metadata, from inside an instance.";

/** Runs one command line, without the program's own name. Never rejects. */
export async function runGuest(
  argv: readonly string[],
  options: ProgramOptions,
): Promise<ExitCode> {
  const console = openConsole(options.stdout, options.stderr);
  let at = options.name;
  try {
    const words = argv[0] === "help" ? [...argv.slice(1, 2), "--help"] : argv;
    const [name, ...rest] = words;
    if (name === undefined || name === "--help" || name === "-h") {
      for (const line of overview(options)) console.print(line);
      return 0;
    }
    if (name === "--version" || name === "-V") {
      console.print(options.versionLine);
      return 0;
    }
    const entry = options.entries.find((one) => one.name === name);
    if (entry === undefined) {
      const names = options.entries.map((one) => one.name).join(", ");
      throw new UsageError(`${options.name} needs one of: ${names}`);
    }
    at = `${options.name} ${name}`;
    const command = (await entry.load())[name];
    if (command === undefined) throw new Error(`the module of ${name} exports no such command`);
    const call = parse(rest, command, options.env);
    if (call !== "help") return await command.run(call);
    console.print(
      helpOf(at, entry.summary, command).replaceAll("frontdesk guest ", `${options.name} `),
    );
    return 0;
  } catch (error) {
    return failure(error, { at, note: (line) => console.note(line), debug: isDebug(options) });
  }
}

function overview({ name, entries }: ProgramOptions): string[] {
  const rows = entries.map((entry) => [entry.name, entry.summary] as const);
  return [
    `Usage: ${name} [options] [command]`,
    "",
    SUMMARY,
    ...section("Options", [
      ["-V, --version", "print the version and the runtime"],
      ["-h, --help", "display help for command"],
    ]),
    ...section("Commands", rows),
    ...exitCodes(EXIT_MEANINGS),
    ...examples([[`${name} get local-hostname`, "read one attribute"]]),
  ];
}

function isDebug({ env }: ProgramOptions): boolean {
  return env.FRONTDESK_DEBUG === "1";
}

/** One line about what went wrong, and the exit code for it. */
function failure(
  error: unknown,
  { at, note, debug }: { at: string; note: (line: string) => void; debug: boolean },
): ExitCode {
  const text = oneLine(error instanceof Error ? error.message : String(error));
  const code = codeOf(error);
  if (code === "USAGE") {
    note(`frontdesk: ${text}; try: ${at} --help`);
    return 2;
  }
  if (code !== undefined) {
    note(`frontdesk: ${text}`);
    return code === "CONFIG" ? 2 : 1;
  }
  const hint = debug ? "" : " (set FRONTDESK_DEBUG=1 for the trace)";
  note(`frontdesk: this is a bug, please report it: ${text}${hint}`);
  for (const line of debug && error instanceof Error ? (error.stack ?? "").split("\n") : []) {
    note(line);
  }
  return 1;
}

/**
 * The code of an error that is raised on purpose. Asked by its shape: the heavy commands of the
 * small file have classes of their own.
 */
function codeOf(error: unknown): string | undefined {
  const { code, remedy } = error as Partial<MetadataError>;
  return typeof code === "string" && typeof remedy === "string" ? code : undefined;
}

function oneLine(text: string): string {
  return text
    .replace(/\s*[\r\n]+\s*/g, " ")
    .trim()
    .replace(/\.$/, "");
}
