/**
 * The operator's side of a running router: health, conditions, metrics, `why` and `apply`, on a
 * unix socket that only its owner can open. Never on a guest's listener.
 */

import { UsageError } from "../model/errors.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Metrics } from "../observe/metrics.ts";
import { answering, failure, json, type Routes, text } from "../protocol/operator.ts";
import type { Handler, RimRequest } from "./http/rim.ts";
import type { Why } from "./why.ts";

export interface AdminPorts {
  readonly conditions: Conditions;
  readonly metrics: Metrics;
  /** Reads anew what is known by asking only. */
  readonly beforeMetrics: () => Promise<void>;
  /** Whether guests are answered from a source that has been read, on every listener. */
  readonly ready: () => boolean;
  /** The ids by which a request may name a network. */
  readonly networks: () => readonly string[];
  readonly why: (ip: string, path: string) => Promise<Why | undefined>;
  /** Applies one command; resolves with the number of changes once guests see them. */
  readonly apply: (text: string, name: string) => Promise<number>;
  /** What the router is doing, for people and the demo. */
  readonly status: () => Readonly<Record<string, unknown>>;
}

const ROUTES: Routes<AdminPorts, RimRequest> = {
  "GET /livez": async () => text(200, "ok\n"),
  "GET /readyz": async (_request, _query, { ready, conditions }) => {
    const errors = conditions.list().filter(({ severity }) => severity === "error");
    return json(ready() ? 200 : 503, { ready: ready(), conditions: errors });
  },
  "GET /conditions": async (_request, _query, { conditions }) => json(200, conditions.list()),
  "GET /metrics": async (_request, _query, { metrics, beforeMetrics }) => {
    await beforeMetrics();
    return text(200, await metrics.text());
  },
  "GET /status": async (_request, _query, { status }) => json(200, status()),
  "GET /why": async (_request, query, { why, networks }) => {
    checkNetwork(query, networks());
    const answer = await why(query.get("ip") ?? "", query.get("path") ?? "/latest/meta-data/");
    return answer === undefined ? failure(400, "USAGE", "ip is not an address") : json(200, answer);
  },
  "POST /apply": async (request, query, { apply, networks }) => {
    checkNetwork(query, networks());
    const body = new TextDecoder().decode(await request.body());
    return json(200, { applied: await apply(body, query.get("name") ?? "") });
  },
};

export function adminHandler(ports: AdminPorts): Handler {
  return answering(ROUTES, ports);
}

/** @throws {UsageError} if it is none of ours. */
function checkNetwork(query: URLSearchParams, known: readonly string[]): void {
  const id = query.get("network");
  if (id === null || known.includes(id)) return;
  throw new UsageError(`--network: there is no such network; there are ${known.join(", ")}`);
}
