/** `listVolumes`: the root disk of every instance. Others there are none. */

import { ZONE } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { is, matches, PAGING, paged } from "../page.ts";
import { checkProject, ofProject, PROJECT } from "../projects.ts";
import { ROOT, showVolume, volumeIdOf, volumeNameOf } from "../volumes.ts";

export const listVolumes: Command = define({
  kind: "read",
  params: {
    id: { kind: "text" },
    ids: { kind: "list" },
    name: { kind: "text" },
    type: { kind: "text" },
    virtualmachineid: { kind: "text" },
    zoneid: { kind: "text" },
    ...PAGING,
    ...PROJECT,
  },
  answer: async (given, { lab }) => {
    checkProject(given);
    const { virtualmachineid: instance } = given;
    const all =
      instance === undefined ? await lab.all() : [await lab.get(instance, "virtualmachineid")];
    const wanted = given.id === undefined ? given.ids : [given.id];
    const found = ofProject(given, all).filter((known) => {
      const name = volumeNameOf(known);
      return (
        (wanted?.includes(volumeIdOf(known)) ?? true) &&
        is(given.name, name) &&
        is(given.type?.toUpperCase(), ROOT) &&
        is(given.zoneid, ZONE.id) &&
        matches(given.keyword, name)
      );
    });
    if (given.id !== undefined && found.length === 0) {
      throw refuse("parameter", "id: there is no such volume");
    }
    return paged("volume", found, given, showVolume);
  },
});
