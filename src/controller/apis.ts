/**
 * What answers on the API listener. Imported when one is opened: a controller without one loads no
 * HTTP library.
 */

import { existsSync } from "node:fs";
import { Hono } from "hono";
import { operatorApi } from "./api/app.ts";
import { CLIENT_API_PATH, clientApi } from "./client-api/app.ts";
import { openCredentials } from "./credentials.ts";
import { GuestSide } from "./guest-side.ts";
import { type WebhookPorts, webhookApp } from "./hints/webhook.ts";
import {
  type ApiListener,
  type ApiListenOptions,
  type ConnectionBindings,
  type HostPort,
  openApiListener,
} from "./http.ts";
import type { ApiPorts } from "./parts.ts";
import { openTokens } from "./tokens.ts";

/** Guests that are refused are logged so seldom. ms. */
const REFUSED_LOG_MS = 60_000;

/** Where webhooks are received. */
const HOOKS_PATH = "/hooks";

export interface ApiSettings extends Omit<ApiListenOptions, "fetch" | "guests"> {
  /**
   * Where routers of this machine answer guests; `auto`: on its addresses in the store's networks.
   * Absent or empty: nobody has said it, and it may be as `auto`.
   */
  readonly guests?: readonly (HostPort | "auto")[];
  /** Where `admin.env` is. */
  readonly stateDir: string;
  /** What says the credentials, where `admin.env` does not. */
  readonly env: NodeJS.ProcessEnv;
  /** The tokens of the operator API, beside the one of `admin.env`. */
  readonly tokensFile: string;
}

/**
 * @param hooks absent where no webhook is received
 * @throws {ConfigError | StateError} if credentials, tokens or a certificate cannot be used.
 * @throws {UsageError | ListenError} as `openApiListener`.
 */
export async function listenApis(
  settings: ApiSettings,
  ports: ApiPorts,
  hooks: WebhookPorts | undefined,
): Promise<ApiListener> {
  const { stateDir, env, tokensFile, guests = [] } = settings;
  const isAuto = guests.includes("auto");
  const side = new GuestSide(ports.store, !isAuto && guests.length > 0);
  await side.check(settings.listen, isAuto);
  const credentials = await openCredentials({
    ...{ stateDir, env, isConfigured: existsSync(tokensFile) },
    onTrouble: troubleOf(ports, stateDir),
  });
  const { path, isNew } = credentials;
  if (isNew) ports.log.info({ path }, "made credentials for the APIs");
  const tokens = await openTokens({
    path: tokensFile,
    own: async () => (await credentials.current()).token,
    onTrouble: troubleOf(ports, tokensFile),
  });
  let { apiKey, secretKey } = await credentials.current();
  const secretKeys = {
    get: (name: string) => (name === apiKey ? secretKey : undefined),
  };
  const refused = sometimes(({ peer, local }: ConnectionBindings) => {
    ports.log.warn({ peer, local }, "refused a guest at the APIs: it asks from or at a network");
  });
  const app = new Hono<{ Bindings: ConnectionBindings }>();
  app.use(async ({ env }, next) => {
    if (!(await side.refuses(env))) return void (await next());
    refused(env);
    return new Response(null, { status: 403 });
  });
  app.use(`${CLIENT_API_PATH}/*`, async (_context, next) => {
    ({ apiKey, secretKey } = await credentials.current());
    await next();
  });
  // In this order: the first path that matches answers.
  if (hooks !== undefined) app.route(HOOKS_PATH, webhookApp(hooks));
  app.route(CLIENT_API_PATH, clientApi(ports, secretKeys));
  app.route("/", operatorApi({ ...ports, tokens }));
  return openApiListener({
    ...settings,
    guests: guests.filter((guest) => guest !== "auto"),
    fetch: (request, bindings) => app.fetch(request, bindings),
  });
}

/** So that an operator who is taken for a guest finds out why, and no guest fills the log. */
function sometimes<Given>(say: (given: Given) => void): (given: Given) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (given) => {
    const now = performance.now();
    if (now - saidAt < REFUSED_LOG_MS) return;
    saidAt = now;
    say(given);
  };
}

/** While a file cannot be used, what it said last counts, and a condition says so. */
function troubleOf(
  { conditions }: ApiPorts,
  subject: string,
): (message: string | undefined) => void {
  return (message) => {
    if (message === undefined) conditions.clear("CREDENTIALS_UNREADABLE", subject);
    else conditions.raise("CREDENTIALS_UNREADABLE", subject, message);
  };
}
