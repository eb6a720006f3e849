/** `listNics`: the NICs of one instance, as its own answer has them. */

import { type Command, define } from "../command.ts";
import { PAGING, paged } from "../page.ts";
import { showNics } from "../view.ts";

export const listNics: Command = define({
  kind: "read",
  params: {
    virtualmachineid: { kind: "text", required: true },
    nicid: { kind: "text" },
    networkid: { kind: "text" },
    ...PAGING,
  },
  answer: async (given, { lab }) => {
    const known = await lab.get(given.virtualmachineid, "virtualmachineid");
    const nics = showNics(known, await lab.ports.store.networks()).filter(
      ({ id, networkid }) =>
        (given.nicid ?? id) === id && (given.networkid ?? networkid) === networkid,
    );
    return paged("nic", nics, given, (nic) => ({ ...nic, virtualmachineid: known.id }));
  },
});
