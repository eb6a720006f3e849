/**
 * `harden` alone, as the command line offers it: for tests that run it on another machine than
 * the test's own. Prints what `frontdesk guest harden` prints.
 */

import { JSON_OPTION } from "../../src/cli/command.ts";
import { openOutput } from "../../src/cli/output.ts";
import { runProgram } from "../../src/cli/program.ts";
import {
  HARDEN_EXAMPLES,
  HARDEN_OPTIONS,
  harden,
  readHardenOptions,
  renderHarden,
  systemPorts,
} from "../../src/guest/harden/index.ts";

const out = openOutput(process.stdout, process.stderr, process.env);
const command = {
  options: [...HARDEN_OPTIONS, JSON_OPTION],
  examples: HARDEN_EXAMPLES,
  async run({ options }: { options: import("../../src/cli/command.ts").Options }) {
    const self = process.env.HARDEN_SELF;
    const system = systemPorts(["harden"]);
    const ports = self === undefined ? system : { ...system, self: self.split(" ") };
    const result = await harden(readHardenOptions(options), ports);
    if (options.flag("json")) out.json(result);
    else for (const line of renderHarden(result)) out.print(line);
    return result.code;
  },
};

process.exitCode = await runProgram(process.argv.slice(2), {
  name: "frontdesk",
  summary: "harden alone",
  versionLine: "0",
  examples: [],
  entries: [{ name: "harden", summary: "harden", load: async () => ({ harden: command }) }],
  out,
  debug: process.env.FRONTDESK_DEBUG === "1",
});
