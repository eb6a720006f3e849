/**
 * `frontdesk guest env`: the attributes as `export` lines for a POSIX shell.
 */

import { clean } from "../../model/clean.ts";
import { GuestError, quote, UsageError } from "../../model/errors.ts";
import { findCaches } from "../cache-file.ts";
import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import { crawl } from "../crawl.ts";
import { find } from "../discover.ts";
import { CACHE_OPTIONS, JSON_OPTION, WHERE_OPTIONS, whereOf } from "../options.ts";
import { explain } from "../report.ts";
import { PREFIX, quoted, variablesOf } from "../shell.ts";
import type { Tree } from "../tree.ts";

export const env: GuestCommand = {
  description: [
    "Prints one export line for each key: local-hostname becomes METADATA_LOCAL_HOSTNAME.",
    "Values are quoted, so that eval does nothing but set them. User data is not among",
    "them.",
  ].join(" "),
  options: [
    { flags: "--prefix <name>", summary: "what every name begins with", default: "METADATA_" },
    JSON_OPTION,
    ...CACHE_OPTIONS,
    ...WHERE_OPTIONS,
  ],
  exits: [
    [0, "all of them are printed"],
    [1, "nobody answers"],
    [2, "called wrongly"],
  ],
  examples: [
    ['eval "$(frontdesk guest env)"', "set them in this shell"],
    ["frontdesk guest env --cached --prefix CLOUD_", "from the local cache, with another prefix"],
  ],
  run: (call, outside = world()) => runEnv(call, outside),
};

async function runEnv({ options }: Call, outside: World): Promise<ExitCode> {
  const console = consoleOf(outside);
  const prefix = options.string("prefix") ?? "";
  if (!PREFIX.test(prefix)) {
    throw new UsageError(
      `--prefix is capitals and underscores and ends in one, not ${quote(prefix)}`,
    );
  }
  const { variables, leftOut } = variablesOf(await treeOf({ args: [], options }, outside), prefix);
  for (const line of leftOut) console.note(`frontdesk: left out: ${line}`);
  if (options.flag("json")) {
    console.json(Object.fromEntries(variables.map(({ name, value }) => [name, value])));
    return 0;
  }
  for (const { name, value } of variables) {
    const line = `export ${name}=${quoted(value)}`;
    // A shell reads a pipe; a person reads a terminal, which must not act on what it shows.
    console.print(console.isTerminal ? clean(line) : line);
  }
  return 0;
}

async function treeOf({ options }: Call, outside: World): Promise<Tree> {
  const where = whereOf(options);
  const file = options.string("cache-file");
  if (options.flag("cached") || file !== undefined) {
    for (const { cache } of findCaches(outside.identity, file)) return cache.metaData;
  }
  const { discovery, client } = await find(where, outside.signal);
  if (client === undefined) throw new GuestError("ENDPOINT_NONE", explain(discovery));
  try {
    return (await crawl(client, { withUserData: false }, outside.signal)).metaData;
  } finally {
    client.close();
  }
}
