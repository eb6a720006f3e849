/**
 * `frontdesk router`: answers guests until it is told to stop.
 */

import { DEFAULTS, type ResolvedSettings, resolveRouterSettings } from "../../config/resolve.ts";
import { HOSTS_MODES, LOG_LEVELS, SETTINGS } from "../../config/settings.ts";
import { UsageError } from "../../model/errors.ts";
import { FileSink } from "../../observe/sink.ts";
import { AUTO_PORTS, openRouter, type RouterSettings } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import type { Plane } from "../../router/listeners.ts";
import { placeOf } from "../../router/state/place.ts";
import { parseAdmin, parseListens } from "../addresses.ts";
import { type Command, EXIT, type Options } from "../command.ts";
import { evidenceSettings } from "../network-settings.ts";
import { defaultAdmin, defaultStateDir, STATE_DIR_WORD, shownStateDir } from "../state-dir.ts";
import { version } from "../version.ts";

/** How long requests under way may take after SIGTERM. ms. */
const DRAIN_MS = 5000;

/** A laptop's ports, where the virtual router's need root and are often taken. */
const LAB_PORTS: Readonly<Record<Plane, number>> = { metadata: 8775, password: 8778 };

// biome-ignore format: a table reads best with one line for each option
export const router: Command = {
  description:
    "Serves instance metadata, user data, SSH keys and passwords from memory.\n\n" +
    "On a CloudStack virtual router: --source databag:/etc/cloudstack. " +
    "On a laptop: --source file:PATH.",
  options: [
    { flags: "--source <where>", summary: "databag:DIR or file:PATH", env: "FRONTDESK_SOURCE" },
    { flags: "--listen <address...>", summary: "ADDR:PORT for guests, or auto", repeatable: true, usual: usualWords("metadata"), env: "FRONTDESK_LISTEN" },
    { flags: "--password-listen <address...>", summary: "ADDR:PORT for passwords, or auto", repeatable: true, usual: usualWords("password"), env: "FRONTDESK_PASSWORD_LISTEN" },
    { flags: "--admin-listen <address>", summary: "for operators and other commands: unix:PATH or ADDR:PORT", usual: defaultAdmin(STATE_DIR_WORD), env: "FRONTDESK_ADMIN_LISTEN" },
    { flags: "--network <id>", summary: "name of the network, where the source does not say", env: "FRONTDESK_NETWORK" },
    { flags: "--state-dir <dir>", summary: "where to keep bindings and passwords, sealed", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal the state, kept elsewhere", usual: placeOf(STATE_DIR_WORD, "main").sealKey, env: "FRONTDESK_SEAL_KEY" },
    { flags: "--cache-dir <dir>", summary: "CloudStack's /var/cache/cloud, for passwords", env: "FRONTDESK_CACHE_DIR" },
    { flags: "--password-token-file <file>", summary: "token for CloudStack's save_password", env: "FRONTDESK_PASSWORD_TOKEN_FILE" },
    { flags: "--hosts <mode>", summary: "what to do about foreign Host headers", choices: HOSTS_MODES, usual: DEFAULTS.hosts, env: "FRONTDESK_HOSTS" },
    { flags: "--config <file>", summary: "these settings as YAML; flags and environment win", env: "FRONTDESK_CONFIG" },
    { flags: "--log-level <level>", summary: "how much to log", choices: LOG_LEVELS, usual: DEFAULTS.logLevel, env: "FRONTDESK_LOG_LEVEL" },
  ],
  exits: [
    [EXIT.done, "ended because it was told to, by SIGTERM or SIGINT"],
    [EXIT.failed, "cannot start or go on; the reason is one line on standard error"],
    [EXIT.usage, "called or configured wrongly"],
  ],
  examples: [
    ["frontdesk router --source databag:/etc/cloudstack", "take the virtual router's place on :80 and :8080"],
    ["frontdesk router --source file:lab.yaml --listen 127.0.0.1:8775", "serve a lab"],
  ],
  commands: [
    { name: "firewall", summary: "the router's own nftables table", load: () => import("./router-firewall.ts") },
    { name: "dhcp", summary: "the DHCP options that lead guests here", load: () => import("./router-dhcp.ts") },
  ],
  async run({ options }) {
    const { settings, logLevel } = await settingsOf(options);
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const started = await openRouter(settings, { rim, sink, logLevel, version: version() });
    const ended = new Promise<void>((resolve) => {
      process.once("SIGTERM", () => resolve());
      process.once("SIGINT", () => resolve());
    });
    process.on("SIGHUP", () => void started.reload().catch(() => {}));
    try {
      await Promise.race([started.loaded, ended]);
      await ended;
    } finally {
      await started.close(DRAIN_MS);
      sink.flushSync();
    }
    return EXIT.done;
  },
};

/**
 * Settings from flags, the environment and `--config`.
 *
 * @throws {UsageError | ConfigError} if one is wrong or missing, or asks for what is not there.
 */
async function settingsOf(
  options: Options,
): Promise<{ settings: RouterSettings; logLevel: string }> {
  const path = options.string("config");
  // The libraries that read a configuration file are loaded only with one.
  const file = path === undefined ? undefined : await (await loadModule()).loadConfig(path);
  const flags = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, { flag, list }]) => {
      const long = flag.slice(2);
      return [name, list ? options.strings(long) : options.string(long)];
    }),
  );
  const given = resolveRouterSettings({ flags, env: process.env, ...(file && { file }) });
  const source = given.source?.value;
  if (source === undefined) {
    throw new UsageError("--source is missing: write --source databag:DIR or --source file:PATH");
  }
  const stateDir = given.stateDir?.value ?? defaultStateDir(process.env);
  const optional = {
    network: given.network?.value,
    sealKeyFile: given.sealKey?.value,
    cacheDir: given.cacheDir?.value,
    passwordTokenFile: given.passwordTokenFile?.value,
  };
  const listens = listensOf("listen", given) ?? usualListen(source, "metadata");
  const passwordListens = listensOf("passwordListen", given) ?? usualListen(source, "password");
  const adminListen = given.adminListen?.value ?? defaultAdmin(stateDir);
  const settings: RouterSettings = {
    source,
    stateDir,
    listen: parseListens(listens, "--listen", "metadata"),
    passwordListen: parseListens(passwordListens, "--password-listen", "password"),
    admin: parseAdmin(adminListen),
    ...(file && { evidence: evidenceSettings(file, adminListen) }),
    hosts: given.hosts.value,
    hostNames: given.hostNames,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
  return { settings, logLevel: given.logLevel.value };
}

function loadModule(): Promise<typeof import("../../config/load.ts")> {
  return import("../../config/load.ts");
}

/** Those of the router and those of single networks; "auto" has them all. */
function listensOf(
  name: "listen" | "passwordListen",
  given: ResolvedSettings,
): readonly string[] | undefined {
  const all = [
    ...(given[name]?.value ?? []),
    ...given.networks.flatMap((each) => each[name] ?? []),
  ];
  if (all.length === 0) return undefined;
  return all.includes("auto") ? ["auto"] : [...new Set(all)];
}

/** A router's own addresses come from its databags; a file knows none, so that is a laptop. */
function usualListen(source: string, plane: Plane): readonly string[] {
  return source.startsWith("file:") ? [`127.0.0.1:${LAB_PORTS[plane]}`] : ["auto"];
}

function usualWords(plane: Plane): string {
  const [laptop, other] = ["file:", "databag:"].map((source) => usualListen(source, plane)[0]);
  return `${laptop} with file:, else ${other}, on port ${AUTO_PORTS[plane]}`;
}
