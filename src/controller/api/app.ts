/**
 * The operator API, `/v1`: instances, networks, user data, keys, passwords, events, conditions.
 *
 * `/openapi.json` describes it, made from the routes themselves. Each request under `/v1` needs a
 * token; only `/openapi.json` and `/livez` need none, and tell nothing of this installation.
 */

import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { OperatorApiError } from "../../model/errors.ts";
import { type ApiEnv, authenticate } from "./auth.ts";
import { bounded, faultsOf, PAYLOADS_PATH } from "./body.ts";
import { addKeys, addPassword, addUserData } from "./content.ts";
import { answerError } from "./errors.ts";
import { addEvents } from "./events.ts";
import { addInstances } from "./instances.ts";
import { addNetworks } from "./networks.ts";
import { addPayloads, limitUploads } from "./payloads.ts";
import {
  type AddRoutes,
  failures,
  json,
  type OperatorApp,
  type OperatorPorts,
  secured,
} from "./routes.ts";
import { Bearer, ConditionList } from "./schemas.ts";
import { addSeal } from "./seal.ts";

const conditions = createRoute({
  ...{ method: "get", path: "/v1/conditions", tags: ["conditions"], security: secured },
  summary: "What is wrong now, and what to do about it",
  responses: { 200: json(ConditionList, "Most severe first."), ...failures },
});

const whoami = createRoute({
  ...{ method: "get", path: "/v1/token", tags: ["token"], security: secured },
  summary: "Whose the token is, and its role",
  responses: { 200: json(Bearer, "Never the token itself."), ...failures },
});

const addConditions: AddRoutes = (app, ports) => {
  app.openapi(conditions, (c) => {
    const list = ports.conditions.list().map(({ where: _, ...condition }) => condition);
    return c.json({ conditions: list }, 200);
  });
  app.openapi(whoami, (c) => c.json({ ...c.get("bearer") }, 200));
};

/** The groups of routes, one a line. To add one, add a line. */
const GROUPS: readonly AddRoutes[] = [
  addInstances,
  addUserData,
  addKeys,
  addPassword,
  addPayloads,
  addSeal,
  addNetworks,
  addEvents,
  addConditions,
];

const DOCUMENT = {
  openapi: "3.1.0",
  info: {
    title: "Frontdesk operator API",
    version: "1",
    description: "What instances are told about themselves. See docs/api.md.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
};

export function operatorApi(ports: OperatorPorts): OperatorApp {
  const { log } = ports;
  const app = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      throw new OperatorApiError("REQUEST_INVALID", faultsOf(result.error.issues));
    },
  });
  app.onError((error, c) => {
    return answerError(error instanceof HTTPException ? refused(error) : error, c, log);
  });
  app.use("/v1/*", async (c, next) => {
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    await next();
  });
  app.use("/v1/*", authenticate(ports));
  app.post(PAYLOADS_PATH, limitUploads());
  app.use("/v1/*", bounded);
  for (const add of GROUPS) add(app, ports);
  app.get("/livez", (c) => c.text("ok\n"));
  app.openAPIRegistry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
  });
  // Made once, when somebody first asks: nobody needs a token to.
  let description: string | undefined;
  app.get("/openapi.json", (c) => {
    description ??= JSON.stringify(app.getOpenAPI31Document(DOCUMENT));
    return c.body(description, 200, { "Content-Type": "application/json" });
  });
  const fallback = elsewhere(app);
  app.all("/v1/*", fallback);
  app.notFound(fallback);
  return app;
}

/** What the library refuses by itself, in our words; any other error as it is. */
function refused(cause: HTTPException): Error {
  if (cause.status === 415) {
    return new OperatorApiError("BODY_TYPE", "the body has another type", { cause });
  }
  if (cause.status !== 400) return cause;
  return new OperatorApiError("BODY_MALFORMED", "the body is not JSON in UTF-8", { cause });
}

/** Says which it is: another path, or another method on a path that is there. */
function elsewhere(app: OperatorApp): Parameters<OperatorApp["notFound"]>[0] {
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => ({
      method,
      pattern: new RegExp(`^${path.replace(/:[a-z]+/g, "[^/]+").replaceAll(".", "\\.")}$`),
    }));
  return (c) => {
    const here = routes.filter(({ pattern }) => pattern.test(c.req.path));
    if (here.length === 0) throw new OperatorApiError("PATH_UNKNOWN", "there is no such path");
    c.header("Allow", [...new Set(here.map(({ method }) => method))].join(", "));
    throw new OperatorApiError("METHOD_UNKNOWN", "the path does not take this method");
  };
}
