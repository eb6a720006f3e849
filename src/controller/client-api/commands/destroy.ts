/**
 * `destroyVirtualMachine`: the records go at once, with or without `expunge`, and with them all
 * that the guest was answered. Nothing is kept to be recovered.
 */

import { type Command, define } from "../command.ts";
import { answerOf } from "../view.ts";

export const destroy: Command = define({
  kind: "job",
  params: {
    id: { kind: "text", required: true },
    expunge: { kind: "flag" },
  },
  begin: async (given, { lab }) => {
    const { id } = await lab.get(given.id);
    const work = async () => {
      const state = given.expunge === true ? "Expunging" : "Destroyed";
      const answer = await answerOf(lab, id, { state });
      await lab.remove(id);
      return answer;
    };
    return { instance: id, work };
  },
});
