/**
 * The table of what answers on the API listener, one line each. Each is imported when a listener is
 * opened, so that a controller without one pays for none.
 */

import { existsSync } from "node:fs";
import { Hono } from "hono";
import type { OpenCredentials } from "./credentials.ts";
import type { ApiPorts, ControllerPart } from "./parts.ts";

export interface ApiSettings {
  /** Where `admin.env` is. */
  readonly stateDir: string;
  /** What says the credentials, where `admin.env` does not. */
  readonly env: NodeJS.ProcessEnv;
  /** The tokens of the operator API, beside the one of `admin.env`. */
  readonly tokensFile: string;
}

interface Given extends ApiSettings {
  readonly credentials: OpenCredentials;
}

/** In this order: the first path that matches answers. */
const APIS: readonly ((given: Given) => Promise<ControllerPart>)[] = [clientApi, operatorApi];

/**
 * @throws {ConfigError | StateError} if credentials or tokens cannot be used.
 */
export async function openApis(settings: ApiSettings, ports: ApiPorts): Promise<Hono> {
  const { openCredentials } = await import("./credentials.ts");
  const { stateDir, env, tokensFile } = settings;
  const credentials = await openCredentials({
    ...{ stateDir, env, isConfigured: existsSync(tokensFile) },
    onTrouble: troubleOf(ports, stateDir),
  });
  const { path, isNew } = credentials;
  if (isNew) ports.log.info({ path }, "made credentials for the APIs");
  const app = new Hono();
  for (const open of APIS) {
    const part = await open({ ...settings, credentials });
    app.route(part.path, await part.open(ports));
  }
  return app;
}

/** CloudStack's API, for whoever has the pair of keys that is accepted now. */
async function clientApi({ credentials }: Given): Promise<ControllerPart> {
  const { clientApiPart } = await import("./client-api/app.ts");
  let { apiKey, secretKey } = await credentials.current();
  const part = clientApiPart({ get: (name) => (name === apiKey ? secretKey : undefined) });
  return {
    path: part.path,
    async open(ports) {
      const app = new Hono();
      app.use(async (_context, next) => {
        ({ apiKey, secretKey } = await credentials.current());
        await next();
      });
      return app.route("/", await part.open(ports));
    },
  };
}

/** The operator's, for whoever has a token. */
async function operatorApi({ credentials, tokensFile }: Given): Promise<ControllerPart> {
  const { operatorApi } = await import("./api/app.ts");
  const { openTokens } = await import("./tokens.ts");
  return {
    path: "/",
    async open(ports) {
      const tokens = await openTokens({
        path: tokensFile,
        own: async () => (await credentials.current()).token,
        onTrouble: troubleOf(ports, tokensFile),
      });
      return operatorApi({ ...ports, tokens }) as unknown as Hono;
    },
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
