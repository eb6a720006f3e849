/** The table of guest commands, one line each, in the order of `--help`. */

import type { GuestEntry } from "../command.ts";

// biome-ignore format: a table reads best with one line for each command
export const GUEST_COMMANDS: readonly GuestEntry[] = [
  { name: "get", summary: "read an attribute, or list them", load: () => import("./get.ts") },
  { name: "env", summary: "attributes as shell variables", load: () => import("./env.ts") },
  { name: "cache", summary: "keep a local copy of the metadata", load: () => import("./cache.ts") },
  { name: "watch", summary: "print what changes", load: () => import("./watch.ts") },
  { name: "harden", summary: "let only chosen users ask", load: () => import("./heavy.ts") },
  { name: "doctor", summary: "say why metadata does not come", load: () => import("./heavy.ts") },
];
