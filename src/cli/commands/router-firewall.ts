/**
 * `frontdesk router firewall`: shows, applies and removes the router's own nftables table.
 */

import { UsageError } from "../../model/errors.ts";
import { ADMIN_OPTIONS } from "../admin-options.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "../command.ts";

const ACTIONS = ["print", "apply", "remove"] as const;

// biome-ignore format: a table reads best with one line for each option
export const firewall: Command = {
  description:
    "Prints the table unless it is told otherwise, and changes nothing. With --source or " +
    "--config it is made for the router that these would start; else for the router that " +
    "runs.\n\n" +
    "Only the table `inet frontdesk` is touched, in one transaction; applied again, nothing changes.",
  options: [
    { flags: "--print", summary: "print what --apply would give to nft (the default)" },
    { flags: "--apply", summary: "make the table, and permanent neighbours for enforced leases" },
    { flags: "--remove", summary: "take both away" },
    { flags: "--source <where>", summary: "databag:DIR or file:PATH", env: "FRONTDESK_SOURCE" },
    { flags: "--listen <address...>", summary: "ADDR:PORT for guests, or auto", repeatable: true, env: "FRONTDESK_LISTEN" },
    { flags: "--password-listen <address...>", summary: "ADDR:PORT for passwords, or auto", repeatable: true, env: "FRONTDESK_PASSWORD_LISTEN" },
    { flags: "--admin-listen <address>", summary: "unix:PATH or ADDR:PORT", env: "FRONTDESK_ADMIN_LISTEN" },
    { flags: "--network <id>", summary: "name of the network, where the source does not say", env: "FRONTDESK_NETWORK" },
    { flags: "--mac-evidence <mode>", summary: "where no file says: check leases' MAC addresses?", choices: ["off", "audit", "enforce"], usual: "as the running router does, else audit" },
    { flags: "--config <file>", summary: "the router's configuration file", env: "FRONTDESK_CONFIG" },
    ...ADMIN_OPTIONS,
    JSON_OPTION,
  ],
  exits: [
    [EXIT.done, "printed, in force as asked for, or removed"],
    [EXIT.failed, "not done: nft refused it, or the router could not be asked"],
    [EXIT.usage, "called or configured wrongly"],
  ],
  examples: [
    ["frontdesk router firewall", "what would be done for the router that runs"],
    ["frontdesk router firewall --apply --source databag:/etc/cloudstack --mac-evidence enforce", "on a virtual router"],
    ["frontdesk router firewall --remove", "as if it had never been there"],
  ],
  async run(call) {
    const given = ACTIONS.filter((action) => call.options.flag(action));
    const [action = "print", ...others] = given;
    if (others.length > 0) throw new UsageError(`give one of --${given.join(" and --")}`);
    if (action === "remove") await remove(call);
    else if (action === "apply") await apply(call);
    else await print(call);
    return EXIT.done;
  },
};

/** Loaded when it is needed: `frontdesk router` loads this file, and needs none of it. */
async function load() {
  const [settings, render, rules, table, pins] = await Promise.all([
    import("../firewall-settings.ts"),
    import("../../router/firewall/render.ts"),
    import("../../router/firewall/settings.ts"),
    import("../../router/firewall/table.ts"),
    import("../../platform/neighbour-pins.ts"),
  ]);
  return { ...settings, ...render, ...rules, ...table, ...pins };
}

async function print({ options, out }: Invocation): Promise<void> {
  const { firewallSettings, render, pinsOf, enforcedLeases } = await load();
  const settings = await firewallSettings(options);
  const { text } = render(settings);
  const neighbours = pinsOf(enforcedLeases(settings));
  if (options.flag("json")) {
    out.json({ text, neighbours });
    return;
  }
  out.print(text.trimEnd());
  if (neighbours.length > 0) out.note(`permanent neighbours: ${neighbours.length}`);
  out.note("nothing was changed; --apply does it");
}

async function apply({ options, out }: Invocation): Promise<void> {
  const { applyPins, applyRuleset, enforcedLeases, firewallSettings, pinsOf, render } =
    await load();
  const settings = await firewallSettings(options);
  const { outcome } = await applyRuleset(render(settings));
  const { commands, foreign } = await applyPins(pinsOf(enforcedLeases(settings)));
  if (options.flag("json")) {
    out.json({ table: outcome, neighbours: { changed: commands.length, foreign } });
    return;
  }
  const words = { unchanged: "is right already", leases: "has other leases", replaced: "is made" };
  out.print(
    `table inet frontdesk ${words[outcome]}; permanent neighbours: ${commands.length} changed`,
  );
  for (const address of foreign) {
    out.note(`${address} has a permanent neighbour that is not ours; it stays`);
  }
}

async function remove({ options, out }: Invocation): Promise<void> {
  const { removeTable, applyPins } = await load();
  const wasThere = await removeTable();
  const { commands } = await applyPins([]);
  if (options.flag("json")) out.json({ table: wasThere, neighbours: commands.length });
  else {
    const table = wasThere ? "is removed" : "was not there";
    out.print(`table inet frontdesk ${table}; permanent neighbours: ${commands.length} removed`);
  }
}
