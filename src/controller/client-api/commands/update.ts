/** `updateVirtualMachine`: names, details and user data, which guests see at once. */

import type { InstanceRecord } from "../../../model/record.ts";
import { type Command, define } from "../command.ts";
import { checkedDetails } from "../details.ts";
import { checkDetails, renamed, withDetails } from "../metadata.ts";
import { checkName } from "../names.ts";
import { chosenUserData, USER_DATA_PARAMS, withUserData } from "../user-data.ts";
import { answerOf } from "../view.ts";

export const update: Command = define({
  kind: "change",
  params: {
    id: { kind: "text", required: true },
    name: { kind: "text" },
    displayname: { kind: "text" },
    details: { kind: "map" },
    ...USER_DATA_PARAMS,
  },
  answer: async (given, call) => {
    const { lab } = call;
    const { id, management } = await lab.get(given.id);
    const name = given.name && checkName(given.name);
    const chosen = chosenUserData(given, call);
    const before = management.userdatadetails;
    const details = given.userdatadetails && checkDetails(given.userdatadetails);
    const { userdataid: _, ...rest } = management;
    const kept = chosen === undefined ? management : { ...rest, ...idOf(chosen) };
    const after = {
      ...kept,
      displayname: given.displayname ?? management.displayname,
      ...(details && {
        userdatadetails: details.map(([key, value]) => [key, value] as [string, string]),
      }),
      ...(given.details && { details: checkedDetails(given.details) }),
    };
    await lab.update(id, (record): InstanceRecord => {
      let changed = chosen === undefined ? record : withUserData(record, chosen.bytes);
      if (details) changed = { ...changed, keys: withDetails(changed.keys, before, details) };
      if (name === undefined || name === "") return changed;
      return { ...changed, name, keys: renamed(changed.keys, record.name, name) };
    });
    await lab.instances.put([[id, after]]);
    return answerOf(lab, id);
  },
});

function idOf({ userdataid }: { readonly userdataid?: string }): { userdataid?: string } {
  return userdataid === undefined ? {} : { userdataid };
}
