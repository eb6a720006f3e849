/**
 * `frontdesk guest harden`, for the command line; what it does is in `src/guest/harden/`.
 */

import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import {
  HARDEN_EXAMPLES,
  HARDEN_OPTIONS,
  harden as hardenHost,
  readHardenOptions,
  renderHarden,
  systemPorts,
} from "../harden/index.ts";
import { JSON_OPTION } from "../options.ts";

export const harden: GuestCommand = {
  description: "Shows what it would do; --apply does it, --remove undoes it.",
  options: [...HARDEN_OPTIONS, JSON_OPTION],
  exits: [
    [0, "done; with --check: all is as it should be"],
    [1, "failed; the reason is one line on standard error"],
    [2, "called wrongly, or a user or group does not exist"],
    [3, "with --check: something is not as it should be"],
  ],
  examples: HARDEN_EXAMPLES,
  run: (call, outside = world()) => runHarden(call, outside),
};

async function runHarden({ options }: Call, outside: World): Promise<ExitCode> {
  const console = consoleOf(outside);
  // The unit that --persist writes runs the same program by the same words.
  const words = process.argv.slice(2, process.argv.indexOf("harden", 2) + 1);
  const result = await hardenHost(readHardenOptions(options), systemPorts(words));
  if (options.flag("json")) console.json(result);
  else for (const line of renderHarden(result)) console.print(line);
  return result.code;
}
