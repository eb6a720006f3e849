/**
 * `frontdesk guest doctor`, for the command line; what it does is in `src/guest/doctor/`.
 */

import { GuestError } from "../../model/errors.ts";
import { renderDiagnosis } from "../../observe/doctor/render.ts";
import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import { examine } from "../doctor/doctor.ts";
import { systemPorts } from "../doctor/ports.ts";
import { renderCapture } from "../doctor/render.ts";
import { parseEndpoint } from "../endpoint.ts";
import { JSON_OPTION } from "../options.ts";

export const doctor: GuestCommand = {
  description: "Says why metadata does not come, and what mends it; changes nothing.",
  options: [
    {
      flags: "--endpoint <url>",
      summary: "look at this one only, http://HOST[:PORT]",
      env: "FRONTDESK_ENDPOINT",
    },
    { flags: "--capture", summary: "watch one request with tcpdump, and say what is seen" },
    JSON_OPTION,
  ],
  exits: [
    [0, "nothing needs attention"],
    [1, "it could not look"],
    [2, "called wrongly"],
    [3, "something needs attention"],
  ],
  examples: [
    ["sudo frontdesk guest doctor", "find causes, and commands that mend them"],
    ["sudo frontdesk guest doctor --capture", "see what became of one request on the wire"],
    ["frontdesk guest doctor --json", "the same for programs; exit code 3 if there is something"],
  ],
  run: (call, outside = world()) => runDoctor(call, outside),
};

async function runDoctor({ options }: Call, outside: World): Promise<ExitCode> {
  const url = options.string("endpoint");
  const endpoint = url === undefined ? undefined : parseEndpoint(url);
  if (process.platform !== "linux")
    throw new GuestError("PLATFORM_UNKNOWN", "doctor knows Linux only");
  const console = consoleOf(outside);
  const report = await examine(
    systemPorts(),
    { endpoint, capture: options.flag("capture") },
    outside.signal,
  );
  if (options.flag("json")) console.json(report);
  else {
    for (const line of renderDiagnosis(report, report)) console.print(line);
    for (const line of report.capture === undefined ? [] : renderCapture(report.capture)) {
      console.print(line);
    }
  }
  return report.ok ? 0 : 3;
}
