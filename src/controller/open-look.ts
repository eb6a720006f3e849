/**
 * Which source a controller looks at: a table, keyed by the word before the colon.
 */

import { UsageError } from "../model/errors.ts";
import type { Conditions } from "../observe/conditions.ts";
import { parseEndpoint } from "../source/cloudstack/endpoint.ts";
import type { Tls } from "../source/cloudstack/http.ts";
import { openSource } from "../source/index.ts";
import type { Store } from "../store/store.ts";
import { openClients } from "./clients.ts";
import type { Look } from "./look.ts";
import { Reconciler } from "./reconcile.ts";
import { SourceLook } from "./source-look.ts";
import { Troubles } from "./troubles.ts";

export const CLOUDSTACK = "cloudstack:";

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
  /** What goes wrong with it, under one name. */
  readonly troubles: Troubles;
  /** Yields when something has changed, where the source can say so by itself. */
  readonly changes?: (signal: AbortSignal) => AsyncIterable<void>;
  /** Reads keys anew. Rejects if they cannot be used; then the last ones stay. */
  reload(): Promise<void>;
}

/** @throws {UsageError | ConfigError | StateError} if a setting or a file of keys is wrong. */
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
  const endpoint = parseEndpoint(source.text.slice(CLOUDSTACK.length));
  const { store, conditions, now, collect } = ports;
  const more = collect === undefined ? {} : { collect };
  const clients = await openClients({ ...source, endpoint, ...more });
  const troubles = new Troubles(conditions, endpoint.host);
  const look = new Reconciler({
    api: clients.whole,
    apiAlone: clients.alone,
    apiKey: clients.apiKey,
    ...{ store, now, troubles },
    ...more,
  });
  return {
    ...{ look, troubles },
    reload: () => clients.reload(),
    [Symbol.asyncDispose]: async () => clients[Symbol.dispose](),
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
    troubles,
    changes: (signal) => opened.changes(signal),
    reload: async () => {},
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
