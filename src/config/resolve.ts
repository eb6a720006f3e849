/**
 * Which value of each setting holds: a flag's, else the environment's, else the file's, else the
 * default. Pure, and each value says where it came from.
 */

import { ConfigError, quote, UsageError } from "../model/errors.ts";
import type { LoadedConfig, NetworkConfig } from "./load.ts";
import {
  flaw,
  type HostsMode,
  type LogLevel,
  listFlaw,
  SETTINGS,
  type SettingName,
  type SettingSpec,
} from "./settings.ts";

/** Where a value came from, for people: `--listen`, `FRONTDESK_LISTEN`, `/etc/frontdesk.yaml:3`. */
export interface From {
  readonly kind: "flag" | "environment" | "file" | "default";
  readonly name: string;
}

export interface Setting<T> {
  readonly value: T;
  readonly from: From;
}

/** What was given on the command line, by setting; absent where the flag was not given. */
export type Flags = {
  readonly [Name in SettingName]?: string | readonly string[] | undefined;
};

export interface SettingsInput {
  readonly flags: Flags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: LoadedConfig;
}

/** Values are checked, and written as their flag takes them. Absent: nobody says. */
export interface ResolvedSettings {
  /** `databag:DIR` or `file:PATH`. There is a source or a store, never both. */
  readonly source?: Setting<string>;
  /** `sqlite:PATH`. */
  readonly store?: Setting<string>;
  readonly listen?: Setting<readonly string[]>;
  readonly passwordListen?: Setting<readonly string[]>;
  readonly adminListen?: Setting<string>;
  readonly network?: Setting<string>;
  readonly stateDir?: Setting<string>;
  readonly sealKey?: Setting<string>;
  readonly cacheDir?: Setting<string>;
  readonly passwordTokenFile?: Setting<string>;
  readonly hosts: Setting<HostsMode>;
  readonly logLevel: Setting<LogLevel>;
  /** Only the file has these. */
  readonly hostNames: readonly string[];
  readonly networks: readonly NetworkConfig[];
}

type Found = { [Name in SettingName]?: Setting<string | readonly string[]> };

/** What holds where nobody says. */
export const DEFAULTS: Readonly<Record<"hosts" | "logLevel", string>> = {
  hosts: "audit",
  logLevel: "info",
};

/**
 * Resolves the settings of `frontdesk router`.
 *
 * @throws {UsageError} if a flag's value is wrong, or two exclude each other.
 * @throws {ConfigError} if a value of the environment is wrong. The file was checked when loaded.
 */
export function resolveRouterSettings(input: SettingsInput): ResolvedSettings {
  const found: Found = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const setting = resolveOne(name, input);
    if (setting !== undefined) found[name] = setting;
  }
  leaveOne(found);
  return {
    ...found,
    hostNames: input.file?.config.hostNames ?? [],
    networks: input.file?.config.networks ?? [],
    // `flaw` has checked each value against its kind, and the lists are lists.
  } as ResolvedSettings;
}

/** Of a source and a store the one holds that was said with more weight. */
function leaveOne(found: Found): void {
  const { source, store } = found;
  if (source === undefined || store === undefined) return;
  const [a, b] = [source, store].map(({ from }) => WEIGHT.indexOf(from.kind)) as [number, number];
  if (a === b) {
    const names = `${source.from.name} and ${store.from.name}`;
    const message = `${names}: give a source or a store, not both`;
    throw source.from.kind === "flag" ? new UsageError(message) : new ConfigError(message);
  }
  if (a < b) delete found.store;
  else delete found.source;
}

/** The first of them holds. */
const WEIGHT: readonly From["kind"][] = ["flag", "environment", "file", "default"];

function resolveOne(
  name: SettingName,
  { flags, env, file }: SettingsInput,
): Setting<string | readonly string[]> | undefined {
  const spec: SettingSpec = SETTINGS[name];
  const flag = flags[name];
  if (flag !== undefined && (typeof flag === "string" || flag.length > 0)) {
    const fail = (message: string) => new UsageError(`${spec.flag}: ${message}`);
    return { value: checked(spec, flag, fail), from: { kind: "flag", name: spec.flag } };
  }
  const variable = env[spec.env];
  // Set but empty is how a unit file takes a variable back.
  if (variable !== undefined && variable.trim() !== "") {
    const value = spec.list ? variable.split(/[\s,]+/).filter(Boolean) : variable;
    const fail = (message: string) => new ConfigError(`${spec.env}: ${message}`);
    return { value: checked(spec, value, fail), from: { kind: "environment", name: spec.env } };
  }
  const [given, path] = fromFile(name, file);
  if (file !== undefined && given !== undefined) {
    return { value: given, from: { kind: "file", name: `${file.file}:${file.line(path)}` } };
  }
  const usual: Partial<Readonly<Record<SettingName, string>>> = DEFAULTS;
  const value = usual[name];
  return value === undefined ? undefined : { value, from: { kind: "default", name: "default" } };
}

/** `admin: {listen}` is another way to write `adminListen`. */
function fromFile(
  name: SettingName,
  file: LoadedConfig | undefined,
): [value: string | readonly string[] | undefined, path: readonly string[]] {
  const config = file?.config;
  if (name === "adminListen" && config?.admin !== undefined) {
    return [config.admin.listen, ["admin", "listen"]];
  }
  return [config?.[name], [name]];
}

function checked(
  spec: SettingSpec,
  value: string | readonly string[],
  fail: (message: string) => Error,
): string | readonly string[] {
  const values = typeof value === "string" ? [value] : value;
  for (const text of values) {
    const message = flaw(spec.kind, text);
    if (message !== undefined) throw fail(`${quote(text)} ${message}`);
  }
  if (!spec.list) {
    if (values.length > 1) throw fail("takes one value");
    return values[0] ?? "";
  }
  const message = listFlaw(values);
  if (message !== undefined) throw fail(message);
  return values;
}
