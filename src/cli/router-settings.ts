/**
 * The settings of `frontdesk router`: of one router, or of several, one for each namespace that the
 * configuration file names.
 */

import { join, resolve } from "node:path";
import type { NetworkConfig } from "../config/load.ts";
import { type ResolvedSettings, resolveRouterSettings } from "../config/resolve.ts";
import { type LogLevel, SETTINGS } from "../config/settings.ts";
import { UsageError } from "../model/errors.ts";
import { AUTO_PORTS } from "../router/around.ts";
import type { RouterSettings } from "../router/daemon.ts";
import { isStore } from "../router/instances.ts";
import type { Plane } from "../router/listeners.ts";
import type { SeveralSettings } from "../router/several.ts";
import type { Served } from "../router/store/served.ts";
import type { MemberSettings } from "../router/supervisor.ts";
import { parseStore } from "../store/index.ts";
import { parseAdmin, parseListens } from "./addresses.ts";
import type { Options } from "./command.ts";
import { evidenceSettings, type Group, groupNamed, groupsOf, OWN } from "./network-settings.ts";
import { proxiedSettings } from "./proxied-settings.ts";
import { defaultAdmin, defaultStateDir } from "./state-dir.ts";

/** A laptop's ports, where the virtual router's need root and are often taken. */
export const LAB_PORTS: Readonly<Record<Plane, number>> = { metadata: 8775, password: 8778 };

/** One router here, or several that this program keeps running. */
export type Plan =
  | { readonly kind: "one"; readonly settings: RouterSettings; readonly logLevel: LogLevel }
  | { readonly kind: "several"; readonly settings: SeveralSettings; readonly logLevel: LogLevel };

/**
 * Settings from flags, the environment and `--config`.
 *
 * @param program how to start this program once more
 * @param usual what is listened on where nobody says
 * @throws {UsageError | ConfigError} if one is wrong or missing, or asks for what is not there.
 */
export async function planOf(
  options: Options,
  program: readonly string[],
  usual: typeof usualListen = usualListen,
): Promise<Plan> {
  const path = options.string("config");
  // The libraries that read a configuration file are loaded only with one.
  const file = path === undefined ? undefined : await (await loadModule()).loadConfig(path);
  const groups = file === undefined ? [] : groupsOf(file);
  const name = options.string("namespace");
  if (name !== undefined && file === undefined) {
    throw new UsageError("--namespace needs --config, which says what lies there");
  }
  const flags = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, { flag, list }]) => {
      const long = flag.slice(2);
      return [name, list ? options.strings(long) : options.string(long)];
    }),
  );
  const given = resolveRouterSettings({ flags, env: process.env, ...(file && { file }) });
  const stateDir = given.stateDir?.value ?? defaultStateDir(process.env);
  const adminListen = given.adminListen?.value ?? defaultAdmin(stateDir);
  const logLevel = given.logLevel.value;
  if (file !== undefined && name === undefined && groups.some((group) => group.name !== OWN)) {
    const hasOwn = placeOf(given) !== undefined || groups.some((group) => group.name === OWN);
    for (const field of ["listen", "passwordListen"] as const) {
      if (hasOwn || given[field]?.from.kind !== "flag") continue;
      const all = "every network of the file lies in a namespace of its own";
      throw new UsageError(`${SETTINGS[field].flag}: ${all}, and has its own addresses`);
    }
    const admin = parseAdmin(adminListen);
    const members = membersOf({ groups, given, file: file.file, stateDir, program });
    return { kind: "several", settings: { admin, members }, logLevel };
  }
  const group = groupNamed(groups, name ?? OWN);
  const networks = group?.networks ?? [];
  const source = group?.source ?? placeOf(given);
  if (source === undefined) {
    const stores = "or, where another program keeps a store, --store sqlite:PATH";
    throw new UsageError(
      `--source is missing: write --source databag:DIR or --source file:PATH; ${stores}`,
    );
  }
  // What is said for this program's own namespace is not of another.
  const own: Partial<ResolvedSettings> = group === undefined || group.name === OWN ? given : {};
  const optional = {
    // Where the source knows no id, the file's is the one that people know.
    network: own.network?.value ?? (networks.length === 1 ? networks[0]?.id : undefined),
    sealKeyFile: given.sealKey?.value,
    cacheDir: own.cacheDir?.value,
    passwordTokenFile: given.passwordTokenFile?.value,
    served: isStore(source) ? servedOf(own, groups, name ?? OWN) : undefined,
  };
  const listens = listensOf("listen", own, networks) ?? usual(source, "metadata");
  const passwordListens = listensOf("passwordListen", own, networks) ?? usual(source, "password");
  const settings: RouterSettings = {
    source,
    stateDir,
    listen: parseListens(listens, "--listen", "metadata"),
    passwordListen: parseListens(passwordListens, "--password-listen", "password"),
    admin: parseAdmin(adminListen),
    ...(file && { evidence: evidenceSettings(file, networks, adminListen) }),
    ...(file && { proxied: proxiedSettings(file, name === OWN ? undefined : name) }),
    hosts: given.hosts.value,
    hostNames: given.hostNames,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
  return { kind: "one", settings, logLevel };
}

/**
 * Which networks of a store this router serves: those that lie in its namespace, and no other's.
 *
 * @param name of the namespace, or `own`
 */
function servedOf(
  { network }: Partial<ResolvedSettings>,
  groups: readonly Group[],
  name: string,
): Served | undefined {
  const idsOf = (group: Group): string[] => group.networks.map(({ id }) => id);
  if (network !== undefined) return { only: [network.value] };
  const own = groups.find((group) => group.name === name);
  if (own !== undefined && name !== OWN) return { only: idsOf(own) };
  const others = groups.filter((group) => group.name !== name);
  return others.length === 0 ? undefined : { except: others.flatMap(idsOf) };
}

/** The routers of the namespaces, each with a state directory and an admin socket of its own. */
function membersOf({
  groups,
  given,
  file,
  stateDir,
  program,
}: {
  readonly groups: readonly Group[];
  readonly given: ResolvedSettings;
  readonly file: string;
  readonly stateDir: string;
  readonly program: readonly string[];
}): readonly MemberSettings[] {
  const hasOwn = groups.some(({ name }) => name === OWN);
  // The router's own source may have networks that the file does not name.
  const own: Group[] = placeOf(given) === undefined || hasOwn ? [] : [{ name: OWN, networks: [] }];
  return [...own, ...groups].map(({ name, networks }) => {
    const admin = join(stateDir, "run", "netns", `${name}.sock`);
    const dir = name === OWN ? stateDir : join(stateDir, "netns", name);
    const argv = [...program, "router", "--config", file, "--namespace", name];
    argv.push("--state-dir", dir, "--admin-listen", `unix:${admin}`);
    argv.push("--log-level", given.logLevel.value, "--hosts", given.hosts.value);
    if (given.sealKey !== undefined) argv.push("--seal-key", given.sealKey.value);
    const token = given.passwordTokenFile;
    if (token?.from.kind === "flag") argv.push("--password-token-file", resolve(token.value));
    if (name === OWN) argv.push(...ownFlags(given));
    else argv.unshift("ip", "netns", "exec", name);
    return { name, networks: networks.map(({ id }) => id), argv, admin };
  });
}

/** What was said of this program's own namespace other than by the file. */
function ownFlags(given: ResolvedSettings): string[] {
  const names = ["source", "store", "listen", "passwordListen", "network", "cacheDir"] as const;
  return names.flatMap((name) => {
    const setting = given[name];
    if (setting === undefined || setting.from.kind !== "flag") return [];
    const values = typeof setting.value === "string" ? [setting.value] : setting.value;
    return values.flatMap((value) => [SETTINGS[name].flag, value]);
  });
}

/**
 * Where instances come from.
 *
 * @throws {UsageError} if a source is given where a store belongs, or the other way round.
 */
function placeOf({ source, store }: ResolvedSettings): string | undefined {
  if (store !== undefined) {
    parseStore(store.value);
    return store.value;
  }
  if (source !== undefined && isStore(source.value)) {
    throw new UsageError(`${source.value} is a store; write --store ${source.value}`);
  }
  return source?.value;
}

function loadModule(): Promise<typeof import("../config/load.ts")> {
  return import("../config/load.ts");
}

/** Those of the router and those of single networks; "auto" has them all. */
function listensOf(
  name: "listen" | "passwordListen",
  given: Pick<ResolvedSettings, "listen" | "passwordListen">,
  networks: readonly NetworkConfig[],
): readonly string[] | undefined {
  const all = [...(given[name]?.value ?? []), ...networks.flatMap((each) => each[name] ?? [])];
  if (all.length === 0) return undefined;
  return all.includes("auto") ? ["auto"] : [...new Set(all)];
}

/** A router's own addresses come from its databags, or lie in the networks that a store knows. */
function usualListen(source: string, plane: Plane): readonly string[] {
  return source.startsWith("file:") ? [`127.0.0.1:${LAB_PORTS[plane]}`] : ["auto"];
}

export function usualWords(plane: Plane): string {
  const [laptop, other] = ["file:", "databag:"].map((source) => usualListen(source, plane)[0]);
  return `${laptop} with file:, else ${other}, on port ${AUTO_PORTS[plane]}`;
}
