/** The table of commands, one line each, in the order of `--help`. */

import type { Entry } from "../command.ts";

// biome-ignore format: a table reads best with one line for each command
export const commands: readonly Entry[] = [
  { name: "completion", summary: "set up tab completion", load: () => import("./completion.ts") },
  { name: "complete", hidden: true, summary: "for scripts", load: () => import("./complete.ts") },
];
