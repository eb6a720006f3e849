/**
 * The controller's clients of one API: one for looks at everything and one for single instances,
 * which would else wait behind the pages of a large cloud. Their keys can be replaced.
 */

import { ConfigError } from "../model/errors.ts";
import { type Api, CloudStackClient } from "../source/cloudstack/client.ts";
import { readCredentials } from "../source/cloudstack/endpoint.ts";
import type { Tls } from "../source/cloudstack/http.ts";
import type { Credentials } from "../source/cloudstack/sign.ts";
import { readVariables } from "./secret-file.ts";

/**
 * After so much that was read, garbage is collected: the runtime lets the pages of a large cloud
 * pile up to twice of what is needed. Characters.
 */
const COLLECT_CHARS = 4 * 1024 * 1024;

/** Two keys, comments, and what else its owner has there. Bytes. */
const KEY_FILE_BYTES_MAX = 4096;

/** A client whose keys were replaced lives so long: longer than a call with its repetitions. ms. */
const RETIRED_MS = 600_000;

export interface ClientsOptions {
  readonly endpoint: URL;
  /** A file of API keys; else they are the environment's. */
  readonly credentialsFile?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly tls?: Tls;
  /** Collects garbage; absent where the runtime has no such thing. */
  readonly collect?: () => void;
}

export interface Clients extends Disposable {
  readonly whole: Api;
  readonly alone: Api;
  /** Names the keys' user to the API. */
  readonly apiKey: () => string;
  /**
   * Reads the keys anew.
   *
   * @throws {ConfigError | StateError} if they cannot be used; then the last ones stay.
   */
  reload(): Promise<void>;
}

/** @throws {ConfigError | StateError} if the keys cannot be used. */
export async function openClients(options: ClientsOptions): Promise<Clients> {
  const { endpoint, credentialsFile, env, tls, collect } = options;
  let read = 0;
  const onAnswer = (length: number): void => {
    read += length;
    if (read < COLLECT_CHARS) return;
    read = 0;
    // When what was read has become what is kept.
    if (collect !== undefined) setImmediate(collect);
  };
  const open = async (): Promise<readonly [whole: CloudStackClient, alone: CloudStackClient]> => {
    const credentials =
      credentialsFile === undefined ? readCredentials(env) : await fromFile(credentialsFile);
    const shared = { endpoint, credentials, onAnswer, ...(tls !== undefined && { tls }) };
    return [new CloudStackClient(shared), new CloudStackClient(shared)];
  };
  let [whole, alone] = await open();
  const retired = new Set<CloudStackClient>();
  return {
    whole: { read: (command, params, signal) => whole.read(command, params, signal) },
    alone: { read: (command, params, signal) => alone.read(command, params, signal) },
    apiKey: () => whole.apiKey,
    async reload() {
      const opened = await open();
      const former = [whole, alone];
      [whole, alone] = opened;
      // What they were asked they answer still.
      for (const each of former) retired.add(each);
      const end = (): void => {
        for (const each of former) if (retired.delete(each)) each[Symbol.dispose]();
      };
      setTimeout(end, RETIRED_MS).unref();
    },
    [Symbol.dispose]() {
      for (const each of [whole, alone, ...retired]) each[Symbol.dispose]();
      retired.clear();
    },
  };
}

async function fromFile(file: string): Promise<Credentials> {
  const variables = await readVariables(file, KEY_FILE_BYTES_MAX);
  if (variables === undefined) throw new ConfigError("the file of keys does not exist", { file });
  return readCredentials(Object.fromEntries(variables), file);
}
