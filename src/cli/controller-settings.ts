/**
 * The settings of `frontdesk controller`, from flags, the environment and the configuration file's
 * `controller:`.
 */

import { readFileSync } from "node:fs";
import { DEFAULTS } from "../config/resolve.ts";
import { flaw, LOG_LEVELS } from "../config/settings.ts";
import type { ControllerSettings } from "../controller/daemon.ts";
import { EXCHANGE, type RabbitSettings, type RabbitUser } from "../controller/hints/rabbit.ts";
import { CLOUDSTACK, type LookSource } from "../controller/open-look.ts";
import { readSecretFile, readVariables } from "../controller/secret-file.ts";
import type { SecretSource } from "../controller/secrets.ts";
import { USER_DATA_CHARS_DEFAULT } from "../controller/user-data.ts";
import { ConfigError, UsageError } from "../model/errors.ts";
import type { ListenAddress } from "../router/http/rim.ts";
import { parseAdmin } from "./addresses.ts";
import type { Options } from "./command.ts";
import {
  AMQP_PASSWORD,
  AMQP_USER,
  type ControllerValues,
  controllerValues,
  parseBus,
  parseGuest,
  parseHostPort,
} from "./controller-values.ts";
import { openSealKey } from "./seal-key.ts";
import {
  defaultControllerAdmin,
  defaultStateDir,
  defaultStore,
  defaultTokens,
} from "./state-dir.ts";

/** Secrets of webhooks and users are one line. Bytes. */
const SECRET_BYTES_MAX = 4096;

const WEBHOOK_SECRET = "FRONTDESK_WEBHOOK_SECRET";

export interface ControllerPlan {
  readonly settings: ControllerSettings;
  readonly admin: ListenAddress;
  readonly logLevel: string;
}

/**
 * @throws {UsageError | ConfigError} if one is wrong or missing.
 * @throws {StateError} if the seal key cannot be used.
 */
export async function controllerPlan(options: Options): Promise<ControllerPlan> {
  const path = options.string("config");
  const file =
    path === undefined ? undefined : await (await import("../config/load.ts")).loadConfig(path);
  const values = controllerValues(options, file);
  const { text } = values;
  const stateDir = values.shared("stateDir") ?? defaultStateDir(process.env);
  const source = sourceOf(values);
  const listen = text("apiListen");
  const tls = pairOf(text("apiCert"), text("apiCertKey"));
  values.refuseLack();
  const webhookSecret = secretOf(text("webhookSecretFile"));
  const rabbit = rabbitOf(values);
  // Now: nothing is opened by settings that cannot be used.
  await rabbit?.user.read();
  const pollSeconds = values.number("pollSeconds");
  const settings: ControllerSettings = {
    store: text("store") ?? defaultStore(stateDir),
    sealKey: await openSealKey(stateDir, values.shared("sealKey")),
    ...(source !== undefined && { source }),
    ...(listen !== undefined && {
      api: {
        ...{ listen: parseHostPort(listen), stateDir },
        guests: values.guestListen.map(parseGuest),
        env: apiEnvironment(source),
        tokensFile: text("tokensFile") ?? defaultTokens(stateDir),
        ...(tls !== undefined && { tls }),
      },
    }),
    ...(pollSeconds !== undefined && { pollSeconds }),
    userDataMax: values.number("userDataMax") ?? USER_DATA_CHARS_DEFAULT,
    ...(webhookSecret !== undefined && listen !== undefined && { webhookSecret }),
    ...(rabbit !== undefined && { rabbit }),
  };
  const logLevel = values.shared("logLevel") ?? DEFAULTS.logLevel;
  const wrong = flaw("log-level", logLevel);
  if (wrong !== undefined) throw new UsageError(`--log-level: must be ${LOG_LEVELS.join(", ")}`);
  const admin = parseAdmin(text("adminListen") ?? defaultControllerAdmin(stateDir));
  return { settings, admin, logLevel };
}

function sourceOf({ text, shared, insecure }: ControllerValues): LookSource | undefined {
  const source = text("source");
  if (source === undefined) return undefined;
  const credentialsFile = text("credentialsFile");
  const caFile = text("caFile");
  const network = shared("network");
  const cacheDir = shared("cacheDir");
  return {
    ...{ text: source, env: process.env },
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

function secretOf(file: string | undefined): SecretSource<string> | undefined {
  const given = process.env[WEBHOOK_SECRET]?.trim() ?? "";
  if (file === undefined) return given === "" ? undefined : { read: async () => given };
  const read = async (): Promise<string> => {
    const secret = (await readSecretFile(file, SECRET_BYTES_MAX))?.trim() ?? "";
    if (secret === "") throw new ConfigError("has no secret for webhooks", { file });
    return secret;
  };
  return { file, read };
}

function rabbitOf({ text }: ControllerValues): RabbitSettings | undefined {
  const url = text("amqp");
  if (url === undefined) return undefined;
  const caFile = text("amqpCaFile");
  return {
    ...{ url: parseBus(url), user: rabbitUserOf(text("amqpCredentialsFile")) },
    exchange: text("amqpExchange") ?? EXCHANGE,
    ...(caFile !== undefined && { ca: readPem(caFile) }),
  };
}

function rabbitUserOf(file: string | undefined): SecretSource<RabbitUser> {
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
  const variables = await readVariables(file, SECRET_BYTES_MAX);
  if (variables === undefined) throw new ConfigError("does not exist", { file });
  return Object.fromEntries(variables);
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConfigError("the certificate cannot be read", { file }, { cause });
  }
}

function pairOf(
  cert: string | undefined,
  key: string | undefined,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert, key };
  throw new UsageError("--api-cert and --api-cert-key go together");
}
