/**
 * `frontdesk import`: turns what a source says into the file that `file:` reads, so that a router
 * can be replayed on a laptop.
 */

import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { Conditions } from "../../observe/conditions.ts";
import { openSource } from "../../source/index.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { clean, type Output } from "../output.ts";

const importCommand: Command = {
  description:
    "Prints what is served now; what the source withholds is counted on stderr. User data and\n" +
    "keys that are named like secrets are masked. Passwords are never printed.",
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
      const changes = await source.poll(new AbortController().signal);
      const { toYaml } = await import("../../source/file/write.ts");
      const text = await toYaml(bindingsOf(changes), source.networks(), {
        mask: !options.flag("with-secrets"),
        loopback: options.flag("loopback"),
      });
      if (options.flag("json")) out.json((await import("yaml")).parse(text));
      else out.print(text.trimEnd());
      tell(out, changes, conditions);
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

function tell(out: Output, changes: readonly Change[], conditions: Conditions): void {
  const withheld = changes.filter(({ kind }) => kind === "withhold").length;
  if (withheld > 0) out.note(`frontdesk: left out, because they are not answered: ${withheld}`);
  for (const { code, subject, title, detail } of conditions.list()) {
    out.note(clean(`frontdesk: ${code} ${subject}: ${detail === "" ? title : detail}`));
  }
}
