/**
 * A machine for tests of `harden`: programs that answer from a table, files in a folder.
 */

import { ExecError } from "../../model/errors.ts";
import type { Exec, Executed } from "../../platform/exec.ts";
import type { Endpoint } from "../endpoint.ts";
import { openFiles } from "./files.ts";
import type { OptionValues } from "./options.ts";
import type { HardenPorts } from "./ports.ts";

export interface Call {
  readonly argv: readonly string[];
  readonly input: string | undefined;
}

/** What a program answers; `undefined`: there is no such program. */
export type Answer = (argv: readonly string[], input: string | undefined) => string | undefined;

/** Programs that are played; every call is noted. */
export function playedExec(calls: Call[], answer: Answer): Exec {
  return async (argv, options = {}): Promise<Executed> => {
    calls.push({ argv, input: options.input });
    const stdout = answer(argv, options.input);
    if (stdout === undefined) throw new ExecError("PROGRAM_MISSING", `no ${argv[0]}`);
    return { code: 0, stdout, stderr: "" };
  };
}

/** An nft that takes everything, and prints every table as one word. */
export const willingNft: Answer = ([program, ...words]) => {
  if (program === "unshare") return "a table";
  if (program !== "nft") return undefined;
  if (words[0] === "-j") return JSON.stringify({ nftables: [] });
  return words[0] === "list" ? "" : "a table";
};

export function testPorts(parts: {
  readonly exec: Exec;
  readonly root?: string;
  readonly found?: readonly Endpoint[];
}): HardenPorts {
  return {
    exec: parts.exec,
    files: openFiles(parts.root ?? "/"),
    isRoot: true,
    systemdRuns: false,
    self: ["/usr/local/bin/frontdesk", "guest", "harden"],
    candidates: async () => parts.found ?? [],
  };
}

/** Options as the command line would hand them over: `{ allow: ["root"], apply: true }`. */
export type Given = Readonly<Record<string, string | readonly string[] | boolean>>;

export function optionValues(given: Given): OptionValues {
  return {
    string: (name) => given[name] as string | undefined,
    strings: (name) => (given[name] as readonly string[] | undefined) ?? [],
    flag: (name) => given[name] === true,
  };
}
