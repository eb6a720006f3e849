/**
 * Where programs keep their state when nobody says, and so where their sockets and files are.
 */

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

export function defaultStateDir(env: NodeJS.ProcessEnv): string {
  // systemd's StateDirectory=; it may name several, the first is ours.
  const given = env.STATE_DIRECTORY?.split(":")[0] ?? "";
  if (isAbsolute(given)) return given;
  if (process.getuid?.() === 0) return "/var/lib/frontdesk";
  const base = env.XDG_STATE_HOME ?? "";
  return join(isAbsolute(base) ? base : join(homedir(), ".local/state"), "frontdesk");
}

/** The same for `--help`, which works also for a user who has no home. */
export function shownStateDir(env: NodeJS.ProcessEnv): string {
  try {
    return defaultStateDir(env);
  } catch {
    return "frontdesk in ~/.local/state";
  }
}

/** What help calls the directory that `--state-dir` names. */
export const STATE_DIR_WORD = "STATE-DIR";

export function defaultAdmin(stateDir: string): string {
  return `unix:${join(stateDir, "run", "admin.sock")}`;
}

/** The controller's own admin socket, beside the router's. */
export function defaultControllerAdmin(stateDir: string): string {
  return `unix:${join(stateDir, "run", "controller.sock")}`;
}

export function defaultStore(stateDir: string): string {
  return `sqlite:${join(stateDir, "store.sqlite")}`;
}

export function defaultTokens(stateDir: string): string {
  return join(stateDir, "tokens");
}
