/** `getVirtualMachineUserData`: what the guest is answered, as base64. */

import { type Command, define } from "../command.ts";
import { base64Of, present } from "../view.ts";

export const getUserData: Command = define({
  kind: "read",
  params: { virtualmachineid: { kind: "text", required: true } },
  answer: async (given, { lab }) => {
    const { id, records } = await lab.get(given.virtualmachineid, "virtualmachineid");
    const userdata = await base64Of(records[0].record);
    return { virtualmachineuserdata: present({ virtualmachineid: id, userdata }) };
  },
});
