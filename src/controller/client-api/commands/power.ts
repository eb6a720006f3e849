/**
 * Starting, stopping and rebooting: nothing is run, so these change a word.
 *
 * The record stays: CloudStack's router keeps what it knows of a stopped instance, and an address
 * that is asked from is asked from by a running guest.
 */

import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import type { Management } from "../management.ts";
import { answerOf } from "../view.ts";

type State = Management["state"];

export const start: Command = power("Running", (state) => {
  if (state === "Running") throw refuse("parameter", "The instance is running already");
});

export const stop: Command = power("Stopped", () => {});

export const reboot: Command = power("Running", (state) => {
  if (state !== "Running") throw refuse("parameter", "The instance must be running");
});

function power(after: State, check: (before: State) => void): Command {
  return define({
    kind: "job",
    params: { id: { kind: "text", required: true } },
    begin: async (given, { lab }) => {
      const { id } = await lab.get(given.id);
      const work = async () => {
        const { management } = await lab.get(id);
        check(management.state);
        if (management.state !== after)
          await lab.instances.put([[id, { ...management, state: after }]]);
        return answerOf(lab, id);
      };
      return { instance: id, work };
    },
  });
}
