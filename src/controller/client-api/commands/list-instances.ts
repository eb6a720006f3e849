/** `listVirtualMachines`: every instance of the store, whoever put it there. */

import { ZONE } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { checkUserData, is, matches, PAGING, paged, pageOf } from "../page.ts";
import { checkProject, ofProject, PROJECT } from "../projects.ts";
import { showInstance, viewerOf } from "../view.ts";

export const listInstances: Command = define({
  kind: "read",
  params: {
    id: { kind: "text" },
    ids: { kind: "list" },
    name: { kind: "text" },
    state: { kind: "text" },
    zoneid: { kind: "text" },
    networkid: { kind: "text" },
    templateid: { kind: "text" },
    serviceofferingid: { kind: "text" },
    keypair: { kind: "text" },
    userdata: { kind: "flag" },
    ...PAGING,
    ...PROJECT,
  },
  answer: async (given, { lab }) => {
    checkProject(given);
    if (given.id !== undefined && given.ids !== undefined) {
      throw refuse("parameter", "Give id or ids, not both");
    }
    const all = given.id === undefined ? await lab.all() : [await lab.get(given.id)];
    const found = ofProject(given, all).filter(({ id, records, management }) => {
      const { name } = records[0].record;
      return (
        (given.ids?.includes(id) ?? true) &&
        matches(given.name, name) &&
        matches(given.keyword, name, management.displayname) &&
        is(given.state, management.state) &&
        is(given.zoneid, ZONE.id) &&
        is(given.networkid, ...records.map(({ record }) => record.network)) &&
        is(given.templateid, management.templateid) &&
        is(given.serviceofferingid, management.serviceofferingid) &&
        is(given.keypair, ...management.keypairs)
      );
    });
    const viewer = await viewerOf(lab);
    const withUserData = given.userdata === true;
    if (withUserData) {
      checkUserData(pageOf(found, given), ({ records }) => records[0].record.userData?.length ?? 0);
    }
    return paged("virtualmachine", found, given, (known) =>
      showInstance(viewer, known, { withUserData }),
    );
  },
});
