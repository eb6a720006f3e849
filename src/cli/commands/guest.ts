/**
 * `frontdesk guest`: the tools inside an instance. They are the small program's own commands, from
 * the same table.
 */

import type { GuestEntry } from "../../guest/command.ts";
import { GUEST_COMMANDS } from "../../guest/commands/index.ts";
import { endSoon } from "../../guest/system.ts";
import type { Command, Entry } from "../command.ts";

export const guest: Command = {
  description: "Runs inside an instance. dist/frontdesk-guest.mjs has the same in one small file.",
  examples: [
    ["frontdesk guest get local-hostname", "read one attribute"],
    ["frontdesk guest cache --follow", "keep /run/metadata.json true"],
  ],
  commands: GUEST_COMMANDS.map(entryOf),
};

/** The same command, and afterwards nothing is waited for that cannot be ended. */
function entryOf({ name, summary, load }: GuestEntry): Entry {
  return {
    name,
    summary,
    async load() {
      const command = (await load())[name];
      if (command === undefined) return {};
      const run: Command["run"] = (call) => command.run(call).finally(endSoon);
      return { [name]: { ...command, run } };
    },
  };
}
