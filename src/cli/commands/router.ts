/**
 * `frontdesk router`: answers guests until it is told to stop.
 */

import { FileSink } from "../../observe/sink.ts";
import { openRouter, type RouterSettings } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import { parseAdmin, parseListens } from "../addresses.ts";
import { type Command, EXIT, type Options } from "../command.ts";
import { defaultAdmin, defaultStateDir } from "../state-dir.ts";
import { version } from "../version.ts";

/** How long requests under way may take after SIGTERM. ms. */
const DRAIN_MS = 5000;

// biome-ignore format: a table reads best with one line for each option
export const router: Command = {
  description:
    "Serves instance metadata, user data, SSH keys and passwords from memory.\n\n" +
    "On a CloudStack virtual router: --source databag:/etc/cloudstack. On a laptop: --source file:PATH.",
  options: [
    { flags: "--source <where>", summary: "databag:DIR or file:PATH", required: true, env: "FRONTDESK_SOURCE" },
    { flags: "--listen <address...>", summary: "ADDR:PORT for guests, or auto", repeatable: true, env: "FRONTDESK_LISTEN" },
    { flags: "--password-listen <address...>", summary: "ADDR:PORT for passwords, or auto", repeatable: true, env: "FRONTDESK_PASSWORD_LISTEN" },
    { flags: "--admin-listen <address>", summary: "unix:PATH or ADDR:PORT", env: "FRONTDESK_ADMIN_LISTEN" },
    { flags: "--network <id>", summary: "name of the network, where the source does not say", env: "FRONTDESK_NETWORK" },
    { flags: "--state-dir <dir>", summary: "where to keep bindings and passwords, sealed", env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal the state, kept elsewhere", env: "FRONTDESK_SEAL_KEY" },
    { flags: "--cache-dir <dir>", summary: "CloudStack's /var/cache/cloud, for passwords", env: "FRONTDESK_CACHE_DIR" },
    { flags: "--password-token-file <file>", summary: "token for CloudStack's save_password", env: "FRONTDESK_PASSWORD_TOKEN_FILE" },
    { flags: "--hosts <mode>", summary: "what to do about foreign Host headers", choices: ["any", "audit", "enforce"], env: "FRONTDESK_HOSTS" },
    { flags: "--log-level <level>", summary: "how much to log", choices: ["debug", "info", "warn", "error"], default: "info", env: "FRONTDESK_LOG_LEVEL" },
  ],
  examples: [
    ["frontdesk router --source databag:/etc/cloudstack", "take the virtual router's place on :80 and :8080"],
    ["frontdesk router --source file:lab.yaml --listen 127.0.0.1:8775", "serve a lab"],
  ],
  async run({ options }) {
    const settings = settingsOf(options);
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const logLevel = options.string("log-level") ?? "info";
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

function settingsOf(options: Options): RouterSettings {
  const source = options.string("source") ?? "";
  const stateDir = options.string("state-dir") ?? defaultStateDir(process.env);
  const optional = {
    network: options.string("network"),
    sealKeyFile: options.string("seal-key"),
    cacheDir: options.string("cache-dir"),
    passwordTokenFile: options.string("password-token-file"),
  };
  return {
    source,
    stateDir,
    listen: parseListens(given(options, "listen", source, 8775), "--listen", "metadata"),
    passwordListen: parseListens(
      given(options, "password-listen", source, 8778),
      "--password-listen",
      "password",
    ),
    admin: parseAdmin(options.string("admin-listen") ?? defaultAdmin(stateDir)),
    hosts: (options.string("hosts") ?? "audit") as RouterSettings["hosts"],
    hostNames: [],
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** A router's own addresses come from its databags; a file knows none, so that is a laptop. */
function given(options: Options, name: string, source: string, port: number): readonly string[] {
  const values = options.strings(name);
  if (values.length > 0) return values;
  return source.startsWith("file:") ? [`127.0.0.1:${port}`] : ["auto"];
}
