/** `listVirtualMachines`: every instance of the store, whoever put it there. */

import { ZONE } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import type { Known } from "../lab.ts";
import { PAGE_USER_DATA_BYTES_MAX } from "../limits.ts";
import { is, matches, PAGING, paged, pageOf } from "../page.ts";
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
    if (withUserData) checkUserData(pageOf(found, given));
    return paged("virtualmachine", found, given, (known) =>
      showInstance(viewer, known, { withUserData }),
    );
  },
});

/** A client that reads that page size is too large asks for a smaller one. */
function checkUserData(page: readonly Known[]): void {
  const bytes = page.reduce(
    (sum, { records }) => sum + (records[0].record.userData?.length ?? 0),
    0,
  );
  if (bytes <= PAGE_USER_DATA_BYTES_MAX) return;
  const limit = `${PAGE_USER_DATA_BYTES_MAX} bytes`;
  throw refuse(
    "parameter",
    `The page has more than ${limit} of user data: ask for a smaller page size`,
  );
}
