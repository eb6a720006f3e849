/**
 * What the routes of the API share: how one is described, and the app that they are added to.
 */

import { type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { ApiPorts } from "../parts.ts";
import type { Tokens } from "../tokens.ts";
import type { ApiEnv } from "./auth.ts";
import { BYTES_TYPE, JSON_TYPE, takes } from "./body.ts";
import { Failure } from "./schemas.ts";

/** What the operator API is given. */
export interface OperatorPorts extends ApiPorts {
  readonly tokens: Tokens;
}

export type OperatorApp = OpenAPIHono<ApiEnv>;

/** Adds a group of routes. */
export type AddRoutes = (app: OperatorApp, ports: OperatorPorts) => void;

export const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { [JSON_TYPE]: { schema } } as { readonly "application/json": { schema: Schema } },
});

/** A body of JSON, and what guards it. */
export const body = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  content: { [JSON_TYPE]: { schema } } as { readonly "application/json": { schema: Schema } },
});

export const takesJson: ReturnType<typeof takes> = takes(JSON_TYPE);

export const bytes = {
  [BYTES_TYPE]: { schema: z.string().openapi({ format: "binary" }) },
} as const;

/** The errors that any route may answer, by the first digit of their status. */
export const failures = {
  "4XX": json(Failure, "What is wrong with the request, and what to do."),
  "5XX": json(Failure, "What is wrong with the controller, and what to do."),
} as const satisfies RouteConfig["responses"];

export const done = { description: "Done." } as const;

export const secured = [{ token: [] }];
