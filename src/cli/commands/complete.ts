/**
 * `frontdesk complete -- WORDS…`: what the completion scripts ask. Not for people.
 */

import { type Command, EXIT } from "../command.ts";
import { complete as candidates, describe, readWords } from "../completion.ts";
import { commands } from "./index.ts";

export const complete: Command = {
  arguments: [{ name: "[words...]", summary: "the words of the command line so far" }],
  examples: [["frontdesk complete -- config ''", "what may follow `config`"]],
  run: async ({ args, out }) => {
    const asked = await readWords(commands, args);
    for (const line of candidates(await describe(commands, asked), asked)) out.print(line);
    return EXIT.done;
  },
};
