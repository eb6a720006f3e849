/**
 * The controller: reads a source, keeps a store true, answers the APIs.
 *
 * Start reading here. The store is opened first, so that another writer is noticed before anything
 * is asked; then the listeners; then the source is looked at, again and again.
 */

import { type Condition, Conditions } from "../observe/conditions.ts";
import { createLog, type Log } from "../observe/log.ts";
import type { Sink } from "../observe/sink.ts";
import { openStore } from "../store/index.ts";
import { type AdminHandler, adminHandler } from "./admin.ts";
import type { ApiSettings } from "./apis.ts";
import { Follow } from "./follow.ts";
import { HintCounts } from "./hints/event.ts";
import { followRabbit, type Rabbit, type RabbitSettings } from "./hints/rabbit.ts";
import type { WebhookPorts } from "./hints/webhook.ts";
import type { ApiListener } from "./http.ts";
import { type LookSource, openLook } from "./open-look.ts";
import type { ApiPorts } from "./parts.ts";
import { reloadAll, type SecretSource } from "./secrets.ts";
import { USER_DATA_CHARS_DEFAULT } from "./user-data.ts";

/** How often everything is looked at where nobody says. Without events, and beside them. s. */
export const POLL_SECONDS = 30;
export const POLL_BESIDE_EVENTS_SECONDS = 300;

export interface ControllerSettings {
  /** Absent: the store itself is the truth, and the APIs write it. */
  readonly source?: LookSource;
  /** `sqlite:PATH`. */
  readonly store: string;
  readonly sealKey: Uint8Array;
  readonly api?: ApiSettings;
  readonly pollSeconds?: number;
  readonly userDataMax?: number;
  /** Read at the start and on `reload`. */
  readonly webhookSecret?: SecretSource<string>;
  readonly rabbit?: RabbitSettings;
}

interface Closable {
  close(graceMs: number): Promise<void>;
}

export interface ControllerPorts {
  /** Where log lines go. */
  readonly sink: Sink;
  readonly logLevel: string;
  readonly version: string;
  /** For the metrics. */
  readonly runtime: string;
  /** Collects garbage; absent where the runtime has no such thing. */
  readonly collect?: () => void;
  /** Listens for the operator; absent where nobody wants to ask. */
  readonly listenAdmin?: (handler: AdminHandler) => Promise<Closable>;
}

export interface Controller {
  readonly conditions: Conditions;
  /** Whether the source was read once, and the store says what it said. */
  readonly ready: boolean;
  /** `http://ADDR:PORT` of the APIs. */
  readonly apiUrl: string | undefined;
  /** Reads keys and secrets anew and looks at everything (SIGHUP). */
  reload(): Promise<void>;
  /** Ends what is under way and closes (SIGTERM). */
  close(): Promise<void>;
}

type Closers = (() => unknown)[];

/**
 * Starts a controller. What was opened is closed again when the start fails.
 *
 * @throws {UsageError | ConfigError} if a setting is wrong.
 * @throws {StoreError} if the store cannot be written, or another program writes it.
 * @throws {ListenError} if an address cannot be listened on.
 */
export async function openController(
  settings: ControllerSettings,
  ports: ControllerPorts,
): Promise<Controller> {
  const closers: Closers = [];
  try {
    return await assemble(settings, ports, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function assemble(
  settings: ControllerSettings,
  ports: ControllerPorts,
  closers: Closers,
): Promise<Controller> {
  const now = (): number => Date.now();
  const log = createLog(ports.sink, ports.logLevel);
  const conditions = new Conditions(now, (condition, holds) => tell(log, condition, holds));
  const { source, sealKey } = settings;
  const { version, runtime } = ports;
  log.info({ version, source: source?.text, store: settings.store }, "controller starting");
  const store = await openStore(settings.store, {
    ...{ sealKey, conditions, now, role: "writer", isTruth: source === undefined },
  });
  closers.push(() => store.close());

  const counts = new HintCounts();
  const more = ports.collect === undefined ? {} : { collect: ports.collect };
  const beside = { rabbit: undefined as Rabbit | undefined };
  const opened = source && (await openLook(source, { store, conditions, sealKey, now, ...more }));
  if (opened !== undefined) closers.push(() => opened[Symbol.asyncDispose]());
  const follow =
    opened &&
    new Follow({
      ...{ look: opened.look, troubles: opened.troubles, log },
      pollMs: () => pollMsOf(settings, beside.rabbit),
    });
  const hint = (id?: string): void => follow?.hint(id);
  const hints = { hint, counts, conditions };

  const isReady = (): boolean => follow === undefined || follow.status.lookedAt !== undefined;
  const { webhookSecret } = settings;
  const secret = { text: await webhookSecret?.read() };
  const ofApis = { store, conditions, log, hint, now, readOnly: source !== undefined };
  const hooks =
    secret.text === undefined ? undefined : { ...hints, secret: () => secret.text ?? "" };
  const api = await listenApi(settings, ofApis, hooks);
  if (api !== undefined) closers.push(() => api.close());
  const admin = await ports.listenAdmin?.(
    adminHandler({
      ...{ conditions, counts, sink: ports.sink, version, runtime, ready: isReady },
      looks: () => follow?.status,
      status: () => ({
        ...{ version, source: source?.text, store: settings.store, ready: isReady() },
        ...{ api: api?.url, ...follow?.status, events: beside.rabbit?.isFollowing },
      }),
    }),
  );
  if (admin !== undefined) closers.push(() => admin.close(0));

  if (settings.rabbit !== undefined && follow !== undefined) {
    const rabbit = await followRabbit(settings.rabbit, { ...hints, log });
    beside.rabbit = rabbit;
    closers.push(() => rabbit[Symbol.asyncDispose]());
  }
  if (follow !== undefined) run({ follow, changes: opened?.changes, closers, log });
  log.info({ api: api?.url }, "controller started");

  return {
    conditions,
    get ready() {
      return isReady();
    },
    apiUrl: api?.url,
    async reload() {
      const { rabbit } = beside;
      await reloadAll(
        [
          { file: source?.credentialsFile, reload: async () => opened?.reload() },
          {
            file: webhookSecret?.file,
            reload: async () => {
              secret.text = await webhookSecret?.read();
            },
          },
          { file: settings.rabbit?.user.file, reload: async () => rabbit?.reload() },
        ],
        conditions,
      );
      follow?.reload();
    },
    async close() {
      log.info("draining");
      await closeAll(closers);
      log.info("stopped");
    },
  };
}

/** Follows the source until the controller is closed. */
function run({
  follow,
  changes,
  closers,
  log,
}: {
  readonly follow: Follow;
  readonly changes: ((signal: AbortSignal) => AsyncIterable<void>) | undefined;
  readonly closers: Closers;
  readonly log: Log;
}): void {
  const end = new AbortController();
  const watching = async (): Promise<void> => {
    if (changes === undefined) return;
    for await (const _ of changes(end.signal)) follow.hint();
  };
  const running = Promise.all([
    follow.run(end.signal),
    watching().catch((error: unknown) => {
      // The poll goes on.
      if (!end.signal.aborted) log.error({ err: error }, "the source can no longer be watched");
    }),
  ]);
  closers.push(async () => {
    end.abort();
    await running;
  });
}

function pollMsOf({ pollSeconds }: ControllerSettings, rabbit: Rabbit | undefined): number {
  const usual = rabbit?.isFollowing === true ? POLL_BESIDE_EVENTS_SECONDS : POLL_SECONDS;
  return 1000 * (pollSeconds ?? usual);
}

async function listenApi(
  { api, userDataMax = USER_DATA_CHARS_DEFAULT }: ControllerSettings,
  ports: Omit<ApiPorts, "userDataMax">,
  hooks: WebhookPorts | undefined,
): Promise<ApiListener | undefined> {
  if (api === undefined) return undefined;
  const { listenApis } = await import("./apis.ts");
  return listenApis(api, { ...ports, userDataMax }, hooks);
}

/** Last opened, first closed; each once. */
async function closeAll(closers: Closers): Promise<void> {
  const errors: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      errors.push(error); // The store must be closed whatever else goes wrong.
    }
  }
  if (errors.length > 0) throw errors[0];
}

function tell(
  log: Log,
  { code, subject, detail, title, severity }: Condition,
  holds: boolean,
): void {
  const level = holds && severity !== "info" ? "warn" : "info";
  log[level]({ code, subject, detail }, holds ? title : `over: ${title}`);
}
