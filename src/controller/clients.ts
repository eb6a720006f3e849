/**
 * The controller's clients of one API: one for looks at everything and one for single instances,
 * which would else wait behind the pages of a large cloud. Their keys can be replaced.
 */

import { type Api, CloudStackClient } from "../source/cloudstack/client.ts";
import { readCredentials } from "../source/cloudstack/endpoint.ts";
import type { Tls } from "../source/cloudstack/http.ts";

/**
 * After so much that was read, garbage is collected: the runtime lets the pages of a large cloud
 * pile up to twice of what is needed. Characters.
 */
const COLLECT_CHARS = 8 * 1024 * 1024;

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
  /** Reads the keys anew. @throws {ConfigError} if they cannot be used; then the last ones stay. */
  reload(): void;
}

/** @throws {ConfigError} if the keys cannot be used. */
export function openClients(options: ClientsOptions): Clients {
  const { endpoint, credentialsFile, env, tls, collect } = options;
  let read = 0;
  const onAnswer = (length: number): void => {
    read += length;
    if (read < COLLECT_CHARS) return;
    read = 0;
    // When what was read has become what is kept.
    if (collect !== undefined) setImmediate(collect);
  };
  const open = (): readonly [whole: CloudStackClient, alone: CloudStackClient] => {
    const credentials = readCredentials(env, credentialsFile);
    const shared = { endpoint, credentials, onAnswer, ...(tls !== undefined && { tls }) };
    return [new CloudStackClient(shared), new CloudStackClient(shared)];
  };
  let [whole, alone] = open();
  const retired = new Set<CloudStackClient>();
  return {
    whole: { read: (command, params, signal) => whole.read(command, params, signal) },
    alone: { read: (command, params, signal) => alone.read(command, params, signal) },
    apiKey: () => whole.apiKey,
    reload() {
      const former = [whole, alone];
      [whole, alone] = open();
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
