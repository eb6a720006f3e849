/**
 * The table of what answers on the API listener, one line each. Each is imported when a listener is
 * opened, so that a controller without one pays for none.
 */

import type { OpenCredentials } from "./credentials.ts";
import type { ControllerPart } from "./parts.ts";

export interface ApiSecrets {
  readonly credentials: Pick<OpenCredentials, "current">;
}

export const apis: readonly ((secrets: ApiSecrets) => Promise<ControllerPart>)[] = [
  async ({ credentials }) => clientApi(credentials),
];

/** CloudStack's API, for whoever has the pair of keys that is accepted now. */
async function clientApi(credentials: ApiSecrets["credentials"]): Promise<ControllerPart> {
  const { clientApiPart } = await import("./client-api/app.ts");
  const { Hono } = await import("hono");
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
