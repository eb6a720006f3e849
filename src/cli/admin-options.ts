/**
 * How a command finds the running router.
 */

import type { OptionSpec, Options } from "./command.ts";
import { defaultAdmin, defaultStateDir, STATE_DIR_WORD, shownStateDir } from "./state-dir.ts";

export const ADMIN_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--admin <address>",
    summary: "the router's admin listener, unix:PATH or ADDR:PORT",
    usual: defaultAdmin(STATE_DIR_WORD),
    env: "FRONTDESK_ADMIN",
  },
  {
    flags: "--state-dir <dir>",
    summary: "the router's state directory, which holds its admin socket",
    usual: shownStateDir(process.env),
    env: "FRONTDESK_STATE_DIR",
  },
];

/** For what is about one network, where one program serves several namespaces. */
export const NETWORK_OPTION: OptionSpec = {
  flags: "--network <id>",
  summary: "which network is meant, where several have the address",
};

export function adminOf(options: Options): string {
  const stateDir = options.string("state-dir") ?? defaultStateDir(process.env);
  return options.string("admin") ?? defaultAdmin(stateDir);
}
