/**
 * The settings of `frontdesk controller`, from flags, the environment and the configuration file's
 * `controller:`.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config, LoadedConfig } from "../config/load.ts";
import { flaw, LOG_LEVELS } from "../config/settings.ts";
import { type ControllerSettings, USER_DATA_MAX } from "../controller/daemon.ts";
import { EXCHANGE, type RabbitSettings, type RabbitUser } from "../controller/hints/rabbit.ts";
import { CLOUDSTACK, checkLookSource, type LookSource } from "../controller/open-look.ts";
import { readSecretFile } from "../controller/secret-file.ts";
import type { Secret } from "../controller/secrets.ts";
import { tryParseHostPort } from "../model/address.ts";
import { ConfigError, quote, UsageError } from "../model/errors.ts";
import type { ListenAddress } from "../router/http/rim.ts";
import { parseSource } from "../source/index.ts";
import { parseStore } from "../store/index.ts";
import { parseAdmin } from "./addresses.ts";
import type { Options } from "./command.ts";
import { openSealKey } from "./seal-key.ts";
import { defaultStateDir } from "./state-dir.ts";

/** Between two looks at everything. More often is a hint's work; seldomer, and changes are lost. */
const POLL_SECONDS_MIN = 1;
const POLL_SECONDS_MAX = 86_400;

/** Secrets of webhooks and users are one line. Bytes. */
const SECRET_BYTES_MAX = 4096;

const WEBHOOK_SECRET = "FRONTDESK_WEBHOOK_SECRET";
const AMQP_USER = "FRONTDESK_AMQP_USER";
const AMQP_PASSWORD = "FRONTDESK_AMQP_PASSWORD";

type Section = NonNullable<Config["controller"]>;

export interface ControllerPlan {
  readonly settings: ControllerSettings;
  readonly admin: ListenAddress;
  readonly logLevel: string;
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

/**
 * @throws {UsageError | ConfigError} if one is wrong or missing.
 * @throws {StateError} if the seal key cannot be used.
 */
export async function controllerPlan(options: Options): Promise<ControllerPlan> {
  const path = options.string("config");
  const file =
    path === undefined ? undefined : await (await import("../config/load.ts")).loadConfig(path);
  const section: Section = file?.config.controller ?? {};
  const text = <Name extends keyof Section>(flag: string, name: Name): string | undefined => {
    const given = options.string(flag);
    return given === undefined || given === "" ? section[name]?.toString() : given;
  };
  const stateDir =
    options.string("state-dir") ?? file?.config.stateDir ?? defaultStateDir(process.env);
  const store = text("store", "store") ?? defaultStore(stateDir);
  parseStore(store);
  const source = sourceOf(options, section, file);
  const listen = text("api-listen", "apiListen");
  const tls = pairOf(text("api-cert", "apiCert"), text("api-cert-key", "apiCertKey"));
  if (tls !== undefined && listen === undefined) {
    throw new UsageError("--api-cert is for --api-listen, which is missing");
  }
  if (source === undefined && listen === undefined) {
    const forms = `--source ${CLOUDSTACK}URL, or --api-listen ADDR:PORT to write by the API`;
    throw new UsageError(`nothing to keep the store true by: write ${forms}`);
  }
  const webhook = text("webhook-secret-file", "webhookSecretFile");
  const webhookSecret = secretOf(webhook);
  if (webhook !== undefined && listen === undefined) {
    throw new UsageError("--webhook-secret-file is for --api-listen, which is missing");
  }
  const rabbit = rabbitOf(text);
  // Now: nothing is opened by settings that cannot be used.
  await rabbit?.user.read();
  const poll = text("poll-seconds", "pollSeconds");
  const settings: ControllerSettings = {
    store,
    sealKey: await openSealKey(stateDir, options.string("seal-key") ?? file?.config.sealKey),
    ...(source !== undefined && { source }),
    ...(listen !== undefined && {
      api: {
        ...{ listen: hostPort("api-listen", listen), stateDir },
        guests: options.strings("guest-listen").map((text) => hostPort("guest-listen", text)),
        env: apiEnvironment(source),
        tokensFile: text("tokens-file", "tokensFile") ?? defaultTokens(stateDir),
        ...(tls !== undefined && { tls }),
      },
    }),
    ...(poll !== undefined && { pollSeconds: whole("poll-seconds", poll, POLL_SECONDS_MAX) }),
    userDataMax: whole(
      "user-data-max",
      text("user-data-max", "userDataMax") ?? String(USER_DATA_MAX),
      1024 * 1024,
    ),
    ...(webhookSecret !== undefined && listen !== undefined && { webhookSecret }),
    ...(rabbit !== undefined && { rabbit }),
  };
  const logLevel = options.string("log-level") ?? file?.config.logLevel ?? "info";
  const wrong = flaw("log-level", logLevel);
  if (wrong !== undefined) throw new UsageError(`--log-level: must be ${LOG_LEVELS.join(", ")}`);
  const admin = parseAdmin(text("admin-listen", "adminListen") ?? defaultControllerAdmin(stateDir));
  return { settings, admin, logLevel };
}

function sourceOf(
  options: Options,
  section: Section,
  file: LoadedConfig | undefined,
): LookSource | undefined {
  const text = options.string("source") ?? section.source;
  if (text === undefined) return undefined;
  checkLookSource(text, parseSource);
  const credentialsFile = options.string("credentials-file") ?? section.credentialsFile;
  const caFile = options.string("ca-file") ?? section.caFile;
  const network = options.string("network") ?? file?.config.network;
  const cacheDir = options.string("cache-dir") ?? file?.config.cacheDir;
  const insecure = options.flag("insecure") || section.insecure === true;
  return {
    ...{ text, env: process.env },
    ...(credentialsFile !== undefined && { credentialsFile }),
    tls: {
      ...(caFile !== undefined && { ca: readPem(caFile) }),
      ...(insecure && { insecure }),
    },
    ...(network !== undefined && { network }),
    ...(cacheDir !== undefined && { cacheDir }),
  };
}

/** The keys of the environment are a cloud's, where the source is one, and none of our APIs'. */
function apiEnvironment(source: LookSource | undefined): NodeJS.ProcessEnv {
  if (source?.text.startsWith(CLOUDSTACK) !== true) return process.env;
  return { FRONTDESK_TOKEN: process.env.FRONTDESK_TOKEN };
}

function secretOf(file: string | undefined): Secret<string> | undefined {
  const given = process.env[WEBHOOK_SECRET]?.trim() ?? "";
  if (file === undefined) return given === "" ? undefined : { read: async () => given };
  const read = async (): Promise<string> => {
    const secret = (await readSecretFile(file, SECRET_BYTES_MAX))?.trim() ?? "";
    if (secret === "") throw new ConfigError("has no secret for webhooks", { file });
    return secret;
  };
  return { file, read };
}

function rabbitOf(
  text: (flag: string, name: keyof Section) => string | undefined,
): RabbitSettings | undefined {
  const given = text("amqp", "amqp");
  if (given === undefined) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isAmqp = url !== undefined && /^amqps?:$/.test(url.protocol) && url.hostname !== "";
  if (!isAmqp) throw new UsageError("--amqp: write amqp://HOST[:PORT][/VHOST], or amqps:");
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    const place = `${AMQP_USER} and ${AMQP_PASSWORD}, or --amqp-credentials-file`;
    throw new UsageError(`--amqp: has a user or a query; the user is read from ${place}`);
  }
  const caFile = text("amqp-ca-file", "amqpCaFile");
  return {
    ...{ url, user: rabbitUserOf(text("amqp-credentials-file", "amqpCredentialsFile")) },
    exchange: text("amqp-exchange", "amqpExchange") ?? EXCHANGE,
    ...(caFile !== undefined && { ca: readPem(caFile) }),
  };
}

function rabbitUserOf(file: string | undefined): Secret<RabbitUser> {
  const read = async (): Promise<RabbitUser> => {
    const values = file === undefined ? process.env : await variablesOf(file);
    const take = (name: string): string => {
      const value = values[name]?.trim() ?? "";
      if (value !== "") return value;
      const place = file === undefined ? undefined : { file };
      throw new ConfigError(`${name} is missing or empty`, place);
    };
    return { username: take(AMQP_USER), password: take(AMQP_PASSWORD) };
  };
  return { ...(file !== undefined && { file }), read };
}

async function variablesOf(file: string): Promise<Readonly<Record<string, string | undefined>>> {
  const text = await readSecretFile(file, SECRET_BYTES_MAX);
  if (text === undefined) throw new ConfigError("does not exist", { file });
  const lines = text.split("\n").map((line) => /^\s*([A-Z_]+)\s*=\s*(.*?)\s*$/.exec(line));
  return Object.fromEntries(lines.flatMap((found) => (found ? [[found[1], found[2]]] : [])));
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConfigError("the certificate cannot be read", { file }, { cause });
  }
}

function hostPort(flag: string, text: string): { readonly host: string; readonly port: number } {
  const at = tryParseHostPort(text);
  if (at === undefined) throw new UsageError(`--${flag}: ${quote(text)} is not ADDR:PORT`);
  return at;
}

function pairOf(
  cert: string | undefined,
  key: string | undefined,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert, key };
  throw new UsageError("--api-cert and --api-cert-key go together");
}

function whole(flag: string, text: string, most: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= POLL_SECONDS_MIN && value <= most) return value;
  throw new UsageError(`--${flag}: ${quote(text)} is not a number from 1 to ${most}`);
}
