/**
 * `frontdesk completion SHELL`: the script that teaches a shell to complete our command line.
 */

import { script } from "@bomb.sh/tab";
import { type Command, EXIT } from "../command.ts";

export const completion: Command = {
  description:
    "The program must be found on the PATH as `frontdesk`: the script calls it.\n" +
    "In bash the package bash-completion must be installed.",
  arguments: [
    { name: "<shell>", summary: "the shell", choices: ["bash", "zsh", "fish", "powershell"] },
  ],
  examples: [
    ["source <(frontdesk completion bash)", "complete in this bash; zsh takes the same line"],
    ["frontdesk completion fish > ~/.config/fish/completions/frontdesk.fish", "in every fish"],
  ],
  run: async ({ args: [shell = ""], out }) => {
    script(shell, "frontdesk", "frontdesk");
    // The library's registration lacks this, and then bash never completes a file's name.
    if (shell === "bash") out.print("complete -o default -F __frontdesk_complete frontdesk");
    return EXIT.done;
  },
};
