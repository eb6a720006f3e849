/**
 * `frontdesk completion SHELL`: the script that teaches a shell to complete our command line.
 */

import { script } from "@bomb.sh/tab";
import { type Command, EXIT } from "../command.ts";
import { SCRIPTS } from "../completion-scripts.ts";

export const completion: Command = {
  description:
    "Prints a script for the shell to read. It completes `frontdesk`, and `bin/frontdesk` of a " +
    "checkout. In zsh compinit must have run before; PowerShell needs `frontdesk` on the PATH.",
  arguments: [
    { name: "<shell>", summary: "the shell", choices: ["bash", "zsh", "fish", "powershell"] },
  ],
  examples: [
    ["source <(frontdesk completion bash)", "complete in this bash; zsh takes the same line"],
    ["frontdesk completion fish > ~/.config/fish/completions/frontdesk.fish", "in every fish"],
  ],
  run: async ({ args: [shell = ""], out }) => {
    const text = SCRIPTS[shell];
    if (text === undefined) script(shell, "frontdesk", "frontdesk");
    else out.print(text.trimEnd());
    return EXIT.done;
  },
};
