/**
 * The settings of `frontdesk router` that a flag, the environment and the configuration file can
 * give: one line each. To add one, add a line here and a field in `schema.ts`.
 *
 * Needs no library, because a router without a configuration file loads none.
 */

import { tryParseHostPort, tryParseListen } from "../model/address.ts";

/** How a setting is written: what `flaw` accepts. */
export type SettingKind =
  | "text"
  | "path"
  | "place"
  | "store"
  | "listen"
  | "admin"
  | "hosts"
  | "log-level";

export interface SettingSpec {
  readonly flag: string;
  readonly env: string;
  readonly kind: SettingKind;
  /** May have several values: a list in the file, commas between in the environment. */
  readonly list: boolean;
}

/** `state-dir` is the flag `--state-dir` and the variable `FRONTDESK_STATE_DIR`. */
function spec(words: string, kind: SettingKind, list = false): SettingSpec {
  const env = `FRONTDESK_${words.toUpperCase().replaceAll("-", "_")}`;
  return { flag: `--${words}`, env, kind, list };
}

export const SETTINGS = {
  source: spec("source", "place"),
  store: spec("store", "store"),
  listen: spec("listen", "listen", true),
  passwordListen: spec("password-listen", "listen", true),
  adminListen: spec("admin-listen", "admin"),
  network: spec("network", "text"),
  stateDir: spec("state-dir", "path"),
  sealKey: spec("seal-key", "path"),
  cacheDir: spec("cache-dir", "path"),
  passwordTokenFile: spec("password-token-file", "path"),
  hosts: spec("hosts", "hosts"),
  logLevel: spec("log-level", "log-level"),
} as const satisfies Readonly<Record<string, SettingSpec>>;

export type SettingName = keyof typeof SETTINGS;

/** What to do about a `Host` header that is not one of the router's names. */
export const HOSTS_MODES = ["any", "audit", "enforce"] as const;
export type HostsMode = (typeof HOSTS_MODES)[number];

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Why `text` is no value of `kind`; `undefined` where it is one. */
export function flaw(kind: SettingKind, text: string): string | undefined {
  if (text === "") return "is empty";
  if (/[\u0000-\u001f\u007f]/.test(text)) return "must be one line of text";
  switch (kind) {
    case "place":
      return /^[a-z]+:./.test(text)
        ? undefined
        : "must be a word, a colon and a place: file:lab.yaml";
    case "store":
      return /^[a-z]+:./.test(text)
        ? undefined
        : "must be a word, a colon and a place: sqlite:store.sqlite";
    case "listen":
      return text === "auto" || tryParseListen(text) !== undefined
        ? undefined
        : "must be ADDR:PORT, [IPV6]:PORT or auto";
    case "admin":
      return /^unix:./.test(text) || tryParseHostPort(text) !== undefined
        ? undefined
        : "must be unix:PATH or ADDR:PORT";
    case "hosts":
      return among(HOSTS_MODES, text);
    case "log-level":
      return among(LOG_LEVELS, text);
    default:
      return undefined;
  }
}

/** Why `values` are not a list of addresses to listen on. */
export function listFlaw(values: readonly string[]): string | undefined {
  return values.includes("auto") && values.length > 1 ? "auto stands alone" : undefined;
}

function among(known: readonly string[], text: string): string | undefined {
  return known.includes(text) ? undefined : `must be one of ${known.join(", ")}`;
}
