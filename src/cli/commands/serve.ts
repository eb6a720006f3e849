/**
 * `frontdesk serve`: a controller and a router in one, with a store in the state directory.
 *
 * The router is this program, because guests must not wait; the controller is a child, so that
 * reading a large cloud is nobody's delay. Both know the store only.
 */

import type { LoadedConfig } from "../../config/load.ts";
import { tryParseHostPort } from "../../model/address.ts";
import { ConfigError, quote, UsageError } from "../../model/errors.ts";
import { createLog } from "../../observe/log.ts";
import { FileSink } from "../../observe/sink.ts";
import { openRouter, type RouterSettings } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import { addressOf, type ListenTarget, type Plane } from "../../router/listeners.ts";
import { Supervisor } from "../../router/supervisor.ts";
import { answering, checkApiPort } from "../api-port.ts";
import { type Command, EXIT, type ExitCode, type Options } from "../command.ts";
import { API_LISTEN, DAEMON_EXITS, DRAIN_MS, OPTIONS } from "../daemon-options.ts";
import { LAB_PORTS, planOf } from "../router-settings.ts";
import { defaultStore, shownStateDir } from "../state-dir.ts";
import { NICENESS } from "../step-back.ts";
import { STARTED_BY, thisProgram, untilTold } from "../until-told.ts";
import { version } from "../version.ts";

// biome-ignore format: a table reads best with one line for each option
export const serve: Command = {
  description:
    "Serves guests, and keeps their instances in a store of its own, which the APIs write: " +
    "CloudStack's at /client/api and the operator's at /v1. " +
    "With --source the instances come from there.\n\n" +
    "What it needs it makes in the state directory: the store, its key, and admin.env with the " +
    "credentials of the APIs. `frontdesk controller --help` has more settings of the source, " +
    "for --config and the environment.",
  options: [
    { flags: "--source <where>", summary: "cloudstack:URL, file:PATH or databag:DIR", usual: "none: the APIs write the store", env: "FRONTDESK_CONTROLLER_SOURCE" },
    OPTIONS.credentialsFile,
    { ...OPTIONS.listen, usual: labListen("metadata") },
    { ...OPTIONS.passwordListen, usual: labListen("password") },
    { flags: "--api-listen <address>", summary: "ADDR:PORT of the APIs", usual: API_LISTEN, env: "FRONTDESK_API_LISTEN" },
    OPTIONS.adminListen,
    { flags: "--state-dir <dir>", summary: "where everything is kept, sealed", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal it, kept elsewhere", env: "FRONTDESK_SEAL_KEY" },
    OPTIONS.config,
    OPTIONS.logLevel,
  ],
  exits: DAEMON_EXITS,
  examples: [
    ["frontdesk serve", "a lab on loopback: guests are 127.0.0.x, deployed by the APIs"],
    ["frontdesk serve --source cloudstack:https://cloud.example.org --credentials-file keys.env --listen auto --password-listen auto", "a cloud's shared networks"],
  ],
  async run({ options }) {
    const plan = await planOf(withStore(options), thisProgram(), (_, plane) => [labListen(plane)]);
    if (plan.kind !== "one") {
      const instead = "run frontdesk controller and frontdesk router, each with this file";
      throw new UsageError(`serve has no router for each network namespace; ${instead}`);
    }
    const { logLevel } = plan;
    const file = await configOf(options);
    if (file !== undefined) refuseOthers(file);
    const store = defaultStore(plan.settings.stateDir);
    const settings = { ...plan.settings, source: store };
    const listen = options.string("api-listen") ?? file?.config.controller?.apiListen ?? API_LISTEN;
    const api = tryParseHostPort(listen);
    if (api === undefined) throw new UsageError(`--api-listen ${quote(listen)} is not ADDR:PORT`);
    const argv = controllerArgv(options, { stateDir: settings.stateDir, store, api });
    argv.push("--log-level", logLevel);
    for (const at of [settings.listen, settings.passwordListen].flatMap(named)) {
      argv.push("--guest-listen", at);
    }
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const told = untilTold();
    let onUsage = (): void => {};
    const wrong = new Promise<ExitCode>((resolve) => {
      onUsage = () => resolve(EXIT.usage);
    });
    await checkApiPort(api);
    const router = await openRouter(settings, { rim, sink, logLevel, version: version() });
    // After the router, which has made the state directory and its key.
    const controller = new Supervisor(
      [{ name: "controller", argv, niceness: NICENESS, env: { [STARTED_BY]: "frontdesk serve" } }],
      {
        ...{ conditions: router.conditions, log: createLog(sink, logLevel) },
        code: "CONTROLLER_DOWN",
        onUsage, // It has said why.
      },
    );
    const end = new AbortController();
    const isTls = (process.env[API_CERT] ?? file?.config.controller?.apiCert ?? "") !== "";
    void answering(api, end.signal).then(() => {
      if (end.signal.aborted) return;
      const url = `${isTls ? "https" : "http"}://${addressOf(api)}`;
      process.stderr.write(greeting(router.listening, url));
    });
    process.on("SIGHUP", () => {
      controller.reload();
      void router.reload().catch(() => {});
    });
    try {
      const loaded = router.loaded.then(() => wrong);
      return await Promise.race([loaded, wrong, told.ended.then(() => EXIT.done)]);
    } finally {
      end.abort();
      await controller.close(DRAIN_MS);
      await router.close(DRAIN_MS);
      sink.flushSync();
      told.release();
    }
  },
};

/** The controller's, which it takes from the environment too. */
const API_CERT = "FRONTDESK_API_CERT";

/** For people; the log says the same as it comes true. */
function greeting(listening: readonly ListenTarget[], api: string): string {
  const guests = listening.find(({ plane }) => plane === "metadata");
  const at = guests && `http://${addressOf({ host: guests.host, port: guests.port })}`;
  return [
    `frontdesk: guests ask ${at ?? "where the store's networks say"}`,
    `frontdesk: the APIs are at ${api}/v1 and ${api}/client/api`,
    "",
  ].join("\n");
}

function labListen(plane: Plane): string {
  return `127.0.0.1:${LAB_PORTS[plane]}`;
}

/** What the router is told: its source is the store, whatever that is filled from. */
function withStore(options: Options): Options {
  const declared = new Set(serve.options?.map(({ flags }) => flags.slice(2).split(" ", 1)[0]));
  return {
    string(name) {
      if (name === "store") return "sqlite:store.sqlite"; // Where it lies is known later.
      return name === "source" || !declared.has(name) ? undefined : options.string(name);
    },
    strings: (name) => options.strings(name),
    flag: (name) => options.flag(name),
  };
}

/** What the APIs must not be on. */
function named(listen: RouterSettings["listen"]): readonly string[] {
  if (listen === "auto") return [listen];
  return listen.map(({ host, port }) => addressOf({ host, port }));
}

function controllerArgv(
  options: Options,
  {
    stateDir,
    store,
    api,
  }: { stateDir: string; store: string; api: { host: string; port: number } },
): string[] {
  const argv = [...thisProgram(), "controller", "--store", store, "--state-dir", stateDir];
  argv.push("--api-listen", addressOf(api));
  for (const name of ["source", "credentials-file", "seal-key", "config"]) {
    const value = options.string(name);
    if (value !== undefined) argv.push(`--${name}`, value);
  }
  return argv;
}

/** @throws {ConfigError} where the file says another source or store than serve has. */
function refuseOthers({ file, config, line }: LoadedConfig): void {
  const refuse = (path: readonly string[], message: string): never => {
    throw new ConfigError(message, { file, line: line(path), field: path.join(".") });
  };
  if (config.source !== undefined) {
    refuse(["source"], "serve takes controller.source; source is that of frontdesk router");
  }
  const own = "serve has a store of its own in the state directory; take this line out";
  if (config.store !== undefined) refuse(["store"], own);
  if (config.controller?.store !== undefined) refuse(["controller", "store"], own);
}

async function configOf(options: Options): Promise<LoadedConfig | undefined> {
  const path = options.string("config");
  return path === undefined ? undefined : (await import("../../config/load.ts")).loadConfig(path);
}
