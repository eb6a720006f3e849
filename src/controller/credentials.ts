/**
 * The credentials of a controller that nobody gave any: `admin.env` in the state directory, for
 * `set -a; . admin.env` and for our own commands.
 *
 * It is written once, readable by its owner alone, and read again whenever it changes. What the
 * environment says wins over it.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ConfigError } from "../model/errors.ts";
import { followSecretFile, readVariables, writeSecretFile } from "./secret-file.ts";
import { newToken } from "./tokens.ts";

/** Variables of the file and the environment, and what they are here. */
const VARIABLES = {
  FRONTDESK_API_KEY: "apiKey",
  FRONTDESK_SECRET_KEY: "secretKey",
  FRONTDESK_TOKEN: "token",
} as const;

type Variable = keyof typeof VARIABLES;

export interface Credentials {
  /** A pair, for requests that are signed as CloudStack's are. */
  readonly apiKey?: string;
  readonly secretKey?: string;
  /** For the operator API, with every role. */
  readonly token?: string;
}

/** Three lines and comments. Bytes. */
const FILE_BYTES_MAX = 16 * 1024;

/** Shorter ones can be guessed; CloudStack's own have 86 characters. */
const VALUE = /^[A-Za-z0-9._~+/=-]{32,512}$/;

/** As CloudStack's keys: 64 random bytes. */
const KEY_BYTES = 64;

const ADMIN_ENV = "admin.env";

/**
 * @returns `undefined` if there is no such file
 * @throws {ConfigError | StateError} if it cannot be used; the message shows no value.
 */
export async function readCredentials(stateDir: string): Promise<Credentials | undefined> {
  const file = join(stateDir, ADMIN_ENV);
  const variables = await readVariables(file, FILE_BYTES_MAX);
  if (variables === undefined) return undefined;
  const ours = [...variables].filter(([name]) => Object.hasOwn(VARIABLES, name));
  return checked(ours, (name) => `${file}: ${name}`);
}

/** @throws {ConfigError} if the environment has one that cannot be one. */
export function credentialsOf(env: NodeJS.ProcessEnv): Credentials {
  const lines = Object.keys(VARIABLES).flatMap((name) => {
    const value = env[name] ?? "";
    return value === "" ? [] : [[name, value] as const];
  });
  return checked(lines, (name) => `the environment: ${name}`);
}

/** What a controller accepts now. */
export interface OpenCredentials {
  /** Never rejects: while the file cannot be used, what it said last stays in force. */
  current(): Promise<Credentials>;
  /** Where they stand; `undefined` if the environment has them all, or nobody has any. */
  readonly path: string | undefined;
  /** Whether the file was written just now, which is worth saying. */
  readonly isNew: boolean;
}

export interface CredentialsOptions {
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Whether others are configured, a file of tokens for one: then none are made. */
  readonly isConfigured: boolean;
  /** Told when the file cannot be used, and with `undefined` when it can again. */
  readonly onTrouble: (message: string | undefined) => void;
}

/**
 * Reads the credentials, and makes them where there are none.
 *
 * @throws {ConfigError | StateError} if what is there cannot be used, or nothing can be written.
 */
export async function openCredentials(options: CredentialsOptions): Promise<OpenCredentials> {
  const { stateDir, env, isConfigured, onTrouble } = options;
  const file = join(stateDir, ADMIN_ENV);
  const given = credentialsOf(env);
  const read = (): Promise<Credentials | undefined> => readCredentials(stateDir);
  const isGiven = isConfigured || Object.keys(given).length > 0;
  const isNeeded = (await read()) === undefined && !isGiven;
  const isNew = isNeeded && (await writeSecretFile(file, freshFile()));
  const fromFile = await followSecretFile({ path: file, read, onTrouble });
  return {
    path: (await fromFile()) === undefined ? undefined : file,
    isNew,
    current: async () => merged(given, (await fromFile()) ?? {}),
  };
}

/** The keys are a pair: one of each place is none. */
function merged(given: Credentials, file: Credentials): Credentials {
  const pair = given.apiKey === undefined ? file : given;
  const token = given.token ?? file.token;
  return {
    ...(pair.apiKey !== undefined && { apiKey: pair.apiKey }),
    ...(pair.secretKey !== undefined && { secretKey: pair.secretKey }),
    ...(token !== undefined && { token }),
  };
}

function freshFile(): string {
  const key = (): string => randomBytes(KEY_BYTES).toString("base64url");
  return [
    "# Credentials of this Frontdesk. Who has them may do everything with its APIs.",
    "# To have others, change them here, or remove the file and start the controller again.",
    `FRONTDESK_API_KEY=${key()}`,
    `FRONTDESK_SECRET_KEY=${key()}`,
    `FRONTDESK_TOKEN=${newToken()}`,
    "",
  ].join("\n");
}

function checked(
  lines: readonly (readonly [string, string])[],
  placeOf: (name: string) => string,
): Credentials {
  for (const [name, value] of lines) {
    if (VALUE.test(value)) continue;
    const rule = "must have 32 to 512 letters, digits and ._~+/=-";
    throw new ConfigError(`${placeOf(name)} ${rule}`);
  }
  const found: Record<string, string> = Object.fromEntries(
    lines.map(([name, value]) => [VARIABLES[name as Variable], value]),
  );
  if ((found.apiKey === undefined) !== (found.secretKey === undefined)) {
    const missing = found.apiKey === undefined ? "FRONTDESK_API_KEY" : "FRONTDESK_SECRET_KEY";
    throw new ConfigError(`${placeOf(missing)} is missing beside the other key`);
  }
  return found;
}
