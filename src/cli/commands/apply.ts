/**
 * `frontdesk apply FILE…`: hands CloudStack's command files to the running router.
 */

import { basename } from "node:path";
import { counted } from "../../model/count.ts";
import { openAdminClient } from "../admin-client.ts";
import { ADMIN_OPTIONS, adminOf, NETWORK_OPTION } from "../admin-options.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { readInput } from "../read-input.ts";

export const apply: Command = {
  description:
    "Returns when the effect is visible to the guest and safe on the disk. Files are applied in " +
    "order; the first that fails ends the run. Applying one twice has no further effect.",
  arguments: [
    { name: "<file...>", summary: "vm_metadata, vm_password or vm_dhcp_entry; - is stdin" },
  ],
  options: [NETWORK_OPTION, ...ADMIN_OPTIONS, JSON_OPTION],
  exits: [
    [EXIT.done, "each file is applied, visible to its guest and safe on the disk"],
    [EXIT.failed, "one was not; those before it are applied"],
    [EXIT.usage, "called wrongly"],
  ],
  examples: [
    ["frontdesk apply /var/cache/cloud/vm_metadata.json.*", "make metadata visible at once"],
    ["frontdesk apply - < command.json", "from a script"],
  ],
  async run({ args, options, out }) {
    const network = options.string("network");
    const client = openAdminClient(adminOf(options));
    const results: { file: string; applied: number }[] = [];
    try {
      for (const [index, file] of args.entries()) {
        out.progress(`applying ${index + 1} of ${args.length}: ${file}`);
        const name = file === "-" ? "stdin" : basename(file);
        const path = `/apply?${new URLSearchParams({ name, ...(network && { network }) })}`;
        const { applied } = (await client.post(path, readInput(file).toString())) as {
          applied: number;
        };
        results.push({ file, applied });
      }
    } finally {
      client.close();
    }
    if (options.flag("json")) out.json(results);
    else {
      const changes = results.reduce((sum, { applied }) => sum + applied, 0);
      out.note(`applied ${counted(results.length, "file")}, ${counted(changes, "change")}`);
      if (changes === 0) {
        out.note("nothing is other than before: it was so, or the address is in no known network");
      }
    }
    return EXIT.done;
  },
};
