/**
 * `frontdesk import`: turns what a source says into the file that `file:` reads, so that a router
 * can be replayed on a laptop.
 */

import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { clean } from "../../model/clean.ts";
import { SourceError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import { openSource, parseSource } from "../../source/index.ts";
import type { Source } from "../../source/source.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { leftOut, type Unwritten } from "../left-out.ts";

const importCommand: Command = {
  description:
    "Prints what is served now, for --source file: to read; what is left out is named on stderr, " +
    "with the reason. User data and keys that are named like secrets are masked. Passwords are " +
    "never printed.",
  arguments: [{ name: "<source>", summary: "databag:DIR or file:PATH" }],
  options: [
    { flags: "--loopback", summary: "move addresses to 127.0.0.0/8, so that one machine can ask" },
    { flags: "--with-secrets", summary: "print user data and all keys as they are" },
    { flags: "--network <id>", summary: "name of the network, where the source does not say" },
    JSON_OPTION,
  ],
  examples: [
    ["frontdesk import databag:/etc/cloudstack > lab.yaml", "take a router's instances home"],
    [
      "frontdesk import --loopback databag:DIR > lab.yaml; frontdesk router --source file:lab.yaml",
      "and be each of them, with curl --interface 127.…",
    ],
  ],
  async run({ args: [place = ""], options, out }) {
    const conditions = new Conditions(Date.now);
    const network = options.string("network");
    const source = await openSource(place, {
      conditions,
      now: Date.now,
      firstStart: true,
      ...(network !== undefined && { network }),
    });
    try {
      const changes = await firstPoll(source, place);
      const { toYaml } = await import("../../source/file/write.ts");
      const unwritten: Unwritten[] = [];
      const text = await toYaml(bindingsOf(changes), source.networks(), {
        mask: !options.flag("with-secrets"),
        loopback: options.flag("loopback"),
        onLeftOut: (address, why) => unwritten.push({ address, why }),
      });
      if (options.flag("json")) out.json((await import("yaml")).parse(text));
      else out.print(text.trimEnd());
      for (const line of leftOut(changes, unwritten, conditions.list())) {
        out.note(clean(`frontdesk: ${line}`));
      }
    } finally {
      await source[Symbol.asyncDispose]();
    }
    return EXIT.done;
  },
};

export { importCommand as import };

/** What a fresh source serves: its first report has each address once, or in order. */
function bindingsOf(changes: readonly Change[]): readonly Binding[] {
  const bindings = new Map<string, Binding>();
  for (const change of changes) {
    if (change.kind === "put") {
      const { binding } = change;
      bindings.set(`${binding.network} ${binding.address}`, binding);
    } else if (change.kind === "delete") bindings.delete(`${change.network} ${change.address}`);
    else if (change.kind === "withhold") {
      bindings.delete(`${change.withheld.network} ${change.withheld.address}`);
    }
  }
  return [...bindings.values()];
}

/** @throws {SourceError} as the source does; a folder without any databag says what it lacks. */
async function firstPoll(source: Source, place: string): Promise<readonly Change[]> {
  try {
    return await source.poll(new AbortController().signal);
  } catch (error) {
    const { scheme, location } = parseSource(place);
    if (!(error instanceof SourceError) || scheme !== "databag") throw error;
    const file = resolve(location);
    const { NAMES } = await import("../../source/databag/files.ts");
    const names: readonly string[] = Object.values(NAMES);
    const present = await readdir(file).catch(() => undefined);
    if (present === undefined || present.some((name) => names.includes(name))) throw error;
    const message = `holds no databags: ${[...names].sort().join(", ")} expected`;
    throw new SourceError("SOURCE_UNREADABLE", message, { file });
  }
}
