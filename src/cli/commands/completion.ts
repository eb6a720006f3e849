/**
 * `frontdesk completion SHELL`: the script that teaches a shell to complete our command line.
 */

import { script } from "@bomb.sh/tab";
import { type Command, EXIT } from "../command.ts";

export const completion: Command = {
  description: "The program must be found on the PATH as `frontdesk`: the script calls it.",
  arguments: [
    { name: "<shell>", summary: "the shell", choices: ["bash", "zsh", "fish", "powershell"] },
  ],
  examples: [
    ["source <(frontdesk completion bash)", "complete in this bash; zsh takes the same line"],
    ["frontdesk completion fish > ~/.config/fish/completions/frontdesk.fish", "in every fish"],
  ],
  run: async ({ args: [shell = ""] }) => {
    script(shell, "frontdesk", "frontdesk");
    return EXIT.done;
  },
};
