/**
 * `frontdesk doctor`: why the router on this machine does not answer its guests, or soon may not.
 * What it does is in `src/router/doctor/`.
 */

import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { UsageError } from "../../model/errors.ts";
import { renderDiagnosis } from "../../observe/doctor/render.ts";
import { examine } from "../../router/doctor/doctor.ts";
import { systemPorts } from "../../router/doctor/ports.ts";
import { placeOf } from "../../router/state/place.ts";
import { parseSource } from "../../source/index.ts";
import { parseAdmin } from "../addresses.ts";
import { ADMIN_OPTIONS, adminOf } from "../admin-options.ts";
import { type Command, EXIT, JSON_OPTION, type Options } from "../command.ts";
import { defaultStateDir, STATE_DIR_WORD } from "../state-dir.ts";

/** Where CloudStack keeps its databags on a virtual router. */
const DATABAGS = "/etc/cloudstack";

// biome-ignore format: a table reads best with one line for each option
export const doctor: Command = {
  description:
    "Says what is wrong with the router on this machine, why, and what mends it, whether one " +
    "runs or not. Run it as root: others cannot read the firewall, nor ask the router.\n\n" +
    "Changes nothing, shows no secret, and connects to this machine's own addresses only.",
  options: [
    ...ADMIN_OPTIONS,
    { flags: "--source <where>", summary: "where no router runs: databag:DIR or file:PATH", usual: `databag:${DATABAGS} where that is`, env: "FRONTDESK_SOURCE" },
    { flags: "--seal-key <file>", summary: "the key that seals the state, where it is kept elsewhere", usual: placeOf(STATE_DIR_WORD, "main").sealKey, env: "FRONTDESK_SEAL_KEY" },
    JSON_OPTION,
  ],
  exits: [
    [EXIT.done, "nothing needs attention"],
    [EXIT.failed, "it could not look"],
    [EXIT.usage, "called wrongly"],
    [EXIT.attention, "something needs attention"],
  ],
  examples: [
    ["sudo frontdesk doctor", "find causes, and commands that mend them"],
    ["sudo frontdesk doctor --json", "the same for programs; exit code 3 if there is something"],
    ["frontdesk doctor --state-dir /run/frontdesk-trial", "of a router that has its state elsewhere"],
  ],
  async run({ options, out }) {
    const admin = parseAdmin(adminOf(options));
    if ("host" in admin && !isOwn(admin.host)) {
      const what = `${admin.host} is no address of this machine's`;
      throw new UsageError(`--admin: ${what}; run doctor there`);
    }
    const source = options.string("source") ?? usualSource();
    if (source !== undefined) parseSource(source);
    const report = await examine(systemPorts(), {
      stateDir: options.string("state-dir") ?? defaultStateDir(process.env),
      admin,
      adminAt: adminOf(options),
      adminFlags: flagsOf(options),
      source,
      sealKey: options.string("seal-key"),
    });
    if (options.flag("json")) out.json(report);
    else for (const line of renderDiagnosis(report, report)) out.print(line);
    return report.ok ? EXIT.done : EXIT.attention;
  },
};

function usualSource(): string | undefined {
  return existsSync(DATABAGS) ? `databag:${DATABAGS}` : undefined;
}

/** What was said of the place, to be said again in a remedy. */
function flagsOf(options: Options): readonly string[] {
  return ["admin", "state-dir"].flatMap((name) => {
    const value = options.string(name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

function isOwn(host: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return host.startsWith("127.") || own.some(({ address }) => address.split("%", 1)[0] === host);
}
