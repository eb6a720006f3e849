/**
 * Which source a controller looks at: a table, keyed by the word before the colon.
 */

import { UsageError } from "../model/errors.ts";
import type { Conditions } from "../observe/conditions.ts";
import { CloudStackClient } from "../source/cloudstack/client.ts";
import { parseEndpoint, readCredentials } from "../source/cloudstack/endpoint.ts";
import type { Tls } from "../source/cloudstack/http.ts";
import { openSource } from "../source/index.ts";
import type { Store } from "../store/store.ts";
import type { Look } from "./look.ts";
import { Reconciler } from "./reconcile.ts";
import { SourceLook } from "./source-look.ts";
import { Troubles } from "./troubles.ts";

export const CLOUDSTACK = "cloudstack:";

/**
 * After so much that was read, garbage is collected: the runtime lets the pages of a large cloud
 * pile up to three times of what is needed. Characters.
 */
const COLLECT_CHARS = 8 * 1024 * 1024;

/** A client whose keys were replaced lives so long: longer than a call with its repetitions. ms. */
const RETIRED_MS = 600_000;

export interface LookSource {
  /** `cloudstack:URL`, `file:PATH` or `databag:DIR`. */
  readonly text: string;
  /** A file of API keys; else they are the environment's. */
  readonly credentialsFile?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly tls?: Tls;
  /** For sources that do not know one. */
  readonly network?: string;
  readonly cacheDir?: string;
}

export interface LookPorts {
  readonly store: Store;
  readonly conditions: Conditions;
  readonly sealKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Collects garbage; absent where the runtime has no such thing. */
  readonly collect?: () => void;
}

export interface OpenedLook extends AsyncDisposable {
  readonly look: Look;
  /** What conditions call it. */
  readonly subject: string;
  /** Yields when something has changed, where the source can say so by itself. */
  readonly changes?: (signal: AbortSignal) => AsyncIterable<void>;
  /** Reads keys anew. @throws {ConfigError} if they cannot be used; then the last ones stay. */
  reload(): Promise<void>;
}

/** @throws {UsageError | ConfigError} if a setting is wrong. */
export async function openLook(source: LookSource, ports: LookPorts): Promise<OpenedLook> {
  return source.text.startsWith(CLOUDSTACK)
    ? openCloud(source, ports)
    : openBindings(source, ports);
}

/** @throws {UsageError} if it is none of the three. */
export function checkLookSource(text: string, parseOther: (text: string) => unknown): void {
  if (text.startsWith(CLOUDSTACK)) {
    parseEndpoint(text.slice(CLOUDSTACK.length));
    return;
  }
  try {
    parseOther(text);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}, or ${CLOUDSTACK}URL`);
  }
}

async function openCloud(source: LookSource, ports: LookPorts): Promise<OpenedLook> {
  const { env, credentialsFile, tls } = source;
  const endpoint = parseEndpoint(source.text.slice(CLOUDSTACK.length));
  const open = (): CloudStackClient => {
    const credentials = readCredentials(env, credentialsFile);
    const more = tls === undefined ? {} : { tls };
    return new CloudStackClient({ endpoint, credentials, onAnswer, ...more });
  };
  let read = 0;
  const onAnswer = (length: number): void => {
    read += length;
    if (read < COLLECT_CHARS) return;
    read = 0;
    // When what was read has become what is kept.
    if (collect !== undefined) setImmediate(collect);
  };
  const { store, conditions, now, collect } = ports;
  let client = open();
  const retired = new Set<CloudStackClient>();
  const subject = endpoint.host;
  const look = new Reconciler({
    api: { read: (command, params, signal) => client.read(command, params, signal) },
    apiKey: () => client.apiKey,
    troubles: new Troubles(conditions, subject),
    ...{ store, now },
    ...(collect !== undefined && { collect }),
  });
  return {
    ...{ look, subject },
    async reload() {
      const former = client;
      client = open();
      // What it was asked it answers still.
      retired.add(former);
      const end = (): void => {
        if (retired.delete(former)) former[Symbol.dispose]();
      };
      setTimeout(end, RETIRED_MS).unref();
    },
    async [Symbol.asyncDispose]() {
      for (const each of [client, ...retired]) each[Symbol.dispose]();
      retired.clear();
    },
  };
}

async function openBindings(source: LookSource, ports: LookPorts): Promise<OpenedLook> {
  const { text, network, cacheDir } = source;
  const { conditions, now } = ports;
  const opened = await openSource(text, {
    ...{ conditions, now, firstStart: false },
    ...(network !== undefined && { network }),
    ...(cacheDir !== undefined && { cacheDir }),
  });
  const troubles = new Troubles(conditions, text);
  return {
    look: new SourceLook({ ...ports, source: opened, troubles }),
    subject: text,
    changes: (signal) => opened.changes(signal),
    reload: async () => {},
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
