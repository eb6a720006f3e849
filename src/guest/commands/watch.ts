/**
 * `frontdesk guest watch`: a line for each change, until ended.
 */

import { clean } from "../../model/clean.ts";
import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import { follow } from "../follow.ts";
import { INTERVAL_OPTION, intervalOf, JSON_OPTION, WHERE_OPTIONS, whereOf } from "../options.ts";
import { whereOf as placeOf } from "../report.ts";
import { type Change, changesBetween, type Snapshot } from "../tree.ts";

/** A value is shown up to here; --json has it whole. Characters. */
const SHOWN_MAX = 200;

export const watch: GuestCommand = {
  description: [
    "Prints a line for each key that is added, changed or removed from now on. Of user",
    "data it says only that it has changed, where the service can tell.",
  ].join(" "),
  options: [JSON_OPTION, INTERVAL_OPTION, ...WHERE_OPTIONS],
  exits: [
    [0, "it was asked to end; a service that fails is told, and asked again"],
    [2, "called wrongly"],
  ],
  examples: [
    ["frontdesk guest watch", "see what changes"],
    ["frontdesk guest watch --json | jq -r .key", "one JSON object a line, for a program"],
  ],
  run: (call, outside = world({ endsOnSignal: true })) => runWatch(call, outside),
};

async function runWatch({ options }: Call, outside: World): Promise<ExitCode> {
  const console = consoleOf(outside);
  const json = options.flag("json");
  const how = { ...whereOf(options), withUserData: false, intervalMs: intervalOf(options) };
  let before: Snapshot | undefined;
  for await (const seen of follow(how, outside.signal)) {
    if (seen.kind === "failed") {
      console.note(`frontdesk: ${seen.error.message}`);
      continue;
    }
    const { snapshot, endpoint } = seen;
    if (before === undefined) console.note(`watching ${placeOf(endpoint)}`);
    const at = new Date().toISOString();
    for (const change of before === undefined ? [] : changesBetween(before, snapshot)) {
      if (json) console.jsonLine({ at, ...change });
      else console.print(`${at} ${lineOf(change)}`);
    }
    before = snapshot;
  }
  return 0;
}

function lineOf({ kind, key, from, to }: Change): string {
  const values = [from, to].filter((value) => value !== undefined).map(shown);
  return `${kind} ${clean(key)}${values.length === 0 ? "" : ` ${values.join(" -> ")}`}`;
}

function shown(value: string): string {
  const short = value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value;
  return clean(JSON.stringify(short));
}
