/** User data that is registered under a name, to be given to instances by its id. */

import { randomUUID } from "node:crypto";
import type { Fields } from "../../../source/cloudstack/answer.ts";
import { ACCOUNT, DOMAIN } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { REGISTERED_MAX } from "../limits.ts";
import type { RegisteredUserData } from "../management.ts";
import { checkUserData, is, matches, PAGING, paged, pageOf } from "../page.ts";
import { checkProject, PROJECT } from "../projects.ts";
import { decoded, noUserData } from "../user-data.ts";
import { present } from "../view.ts";

export const registerUserData: Command = define({
  kind: "change",
  params: {
    name: { kind: "text", required: true },
    userdata: { kind: "body", required: true },
    params: { kind: "text", charsMax: 4096 },
  },
  answer: async ({ name, userdata, params }, call) => {
    const { lab } = call;
    const bytes = decoded(userdata, call);
    if (bytes === undefined) throw refuse("parameter", "The parameter userdata is missing");
    const text = Buffer.from(bytes).toString("base64");
    const known = [...lab.userData.values()];
    if (known.some((one) => one.name === name)) {
      throw refuse("parameter", "name: there is user data of that name");
    }
    if (known.some((one) => one.userdata === text)) {
      throw refuse("parameter", "userdata: the same is registered under another name");
    }
    if (known.length >= REGISTERED_MAX) {
      throw refuse("limit", `There are ${REGISTERED_MAX} registered already; delete one first`);
    }
    const one = { id: randomUUID(), name, userdata: text, ...(params && { params }) };
    await lab.userData.put([[one.id, one]]);
    return { userdata: show(one) };
  },
});

export const listUserData: Command = define({
  kind: "read",
  params: { id: { kind: "text" }, name: { kind: "text" }, ...PAGING, ...PROJECT },
  answer: async (given, { lab }) => {
    checkProject(given);
    if (given.id !== undefined && lab.userData.get(given.id) === undefined) throw noUserData("id");
    const found = [...lab.userData.values()].filter(
      ({ id, name }) => is(given.id, id) && is(given.name, name) && matches(given.keyword, name),
    );
    const bytesOf = ({ userdata }: RegisteredUserData) => Buffer.byteLength(userdata, "base64");
    checkUserData(pageOf(found, given), bytesOf);
    return paged("userdata", found, given, show);
  },
});

export const deleteUserData: Command = define({
  kind: "change",
  params: { id: { kind: "text", required: true } },
  answer: async ({ id }, { lab }) => {
    if (lab.userData.get(id) === undefined) throw noUserData("id");
    if ([...lab.instances.values()].some(({ userdataid }) => userdataid === id)) {
      throw refuse("parameter", "id: instances have this user data; give them another one first");
    }
    await lab.userData.delete([id]);
    return { success: true };
  },
});

function show({ id, name, userdata, params }: RegisteredUserData): Fields {
  return present({
    id,
    name,
    accountid: ACCOUNT.id,
    account: ACCOUNT.name,
    domainid: DOMAIN.id,
    domain: DOMAIN.name,
    userdata,
    params,
  });
}
