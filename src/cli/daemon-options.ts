/**
 * What programs that stay have in common: their options, their exit codes, how long they take to
 * end, and where they are in a lab.
 */

import { DEFAULTS } from "../config/resolve.ts";
import { LOG_LEVELS } from "../config/settings.ts";
import { EXIT, type ExitMeaning, type OptionSpec } from "./command.ts";
import { defaultAdmin, STATE_DIR_WORD } from "./state-dir.ts";

/** How long requests under way may take after SIGTERM. ms. */
export const DRAIN_MS = 5000;

/** The APIs of a lab, beside the guests' 8775 and 8778. */
export const API_LISTEN = "127.0.0.1:8776";

export const DAEMON_EXITS: readonly ExitMeaning[] = [
  [EXIT.done, "ended because it was told to, by SIGTERM or SIGINT"],
  [EXIT.failed, "cannot start or go on; the reason is one line on standard error"],
  [EXIT.usage, "called or configured wrongly"],
];

// biome-ignore format: a table reads best with one line for each option
export const OPTIONS = {
  listen: { flags: "--listen <address...>", summary: "ADDR:PORT for guests, or auto", repeatable: true, env: "FRONTDESK_LISTEN" },
  passwordListen: { flags: "--password-listen <address...>", summary: "ADDR:PORT for passwords, or auto", repeatable: true, env: "FRONTDESK_PASSWORD_LISTEN" },
  adminListen: { flags: "--admin-listen <address>", summary: "for operators and other commands: unix:PATH or ADDR:PORT", usual: defaultAdmin(STATE_DIR_WORD), env: "FRONTDESK_ADMIN_LISTEN" },
  network: { flags: "--network <id>", summary: "of a store, the only network that is served; else its name, where the source does not say", env: "FRONTDESK_NETWORK" },
  credentialsFile: { flags: "--credentials-file <file>", summary: "FRONTDESK_API_KEY=… and FRONTDESK_SECRET_KEY=…, of CloudStack", env: "FRONTDESK_CREDENTIALS_FILE" },
  config: { flags: "--config <file>", summary: "these settings as YAML; flags and environment win", env: "FRONTDESK_CONFIG" },
  logLevel: { flags: "--log-level <level>", summary: "how much to log", choices: LOG_LEVELS, usual: DEFAULTS.logLevel, env: "FRONTDESK_LOG_LEVEL" },
} as const satisfies Readonly<Record<string, OptionSpec>>;
