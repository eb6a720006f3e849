/**
 * What an operator may ask of a running controller: whether it lives, what is wrong, and numbers.
 * Never on a guest's listener, and not on the API's: this is for the machine's own operators.
 */

import type { Conditions } from "../observe/conditions.ts";
import { Metrics, type Sample } from "../observe/metrics.ts";
import type { Sink } from "../observe/sink.ts";
import type { GuestRequest, Reply } from "../protocol/http.ts";
import { answering, json, type Routes, text } from "../protocol/operator.ts";
import type { FollowStatus } from "./follow.ts";
import type { HintCounts } from "./hints/event.ts";

export interface AdminPorts {
  readonly conditions: Conditions;
  /** Whether the source was read once, and the store says what it said. */
  readonly ready: () => boolean;
  /** Absent where the store itself is the truth. */
  readonly looks: () => FollowStatus | undefined;
  readonly counts: HintCounts;
  readonly sink: Pick<Sink, "dropped">;
  readonly version: string;
  readonly runtime: string;
  /** What the controller is doing, for people. */
  readonly status: () => Readonly<Record<string, unknown>>;
}

export type AdminHandler = (request: GuestRequest) => Promise<Reply>;

interface Answering extends AdminPorts {
  readonly metrics: Metrics;
}

const ROUTES: Routes<Answering> = {
  "GET /livez": async () => text(200, "ok\n"),
  "GET /readyz": async (_request, _query, { ready, conditions }) => {
    const errors = conditions.list().filter(({ severity }) => severity === "error");
    return json(ready() ? 200 : 503, { ready: ready(), conditions: errors });
  },
  "GET /conditions": async (_request, _query, { conditions }) => json(200, conditions.list()),
  "GET /metrics": async (_request, _query, { metrics }) => text(200, await metrics.text()),
  "GET /status": async (_request, _query, { status }) => json(200, status()),
};

export function adminHandler(ports: AdminPorts): AdminHandler {
  const metrics = new Metrics(() => samples(ports), "controller");
  return answering(ROUTES, { ...ports, metrics });
}

function* samples({
  conditions,
  ready,
  looks,
  counts,
  sink,
  version,
  runtime,
}: AdminPorts): Generator<Sample> {
  yield ["frontdesk_controller_ready", [], ready() ? 1 : 0];
  const status = looks();
  if (status !== undefined) {
    yield ["frontdesk_controller_instances", [], status.instances];
    yield ["frontdesk_controller_looks_total", ["all"], status.looks];
    yield ["frontdesk_controller_looks_total", ["one"], status.looksAlone];
    yield ["frontdesk_controller_looks_total", ["failed"], status.failures];
    yield ["frontdesk_controller_look_seconds", [], status.lastMs / 1000];
    yield ["frontdesk_controller_last_look_seconds", [], (status.lookedAt ?? 0) / 1000];
    yield ["frontdesk_controller_records_total", ["written"], status.written];
    yield ["frontdesk_controller_records_total", ["deleted"], status.deleted];
  }
  for (const [labels, count] of counts.list()) {
    yield ["frontdesk_controller_hints_total", labels, count];
  }
  yield ["frontdesk_controller_log_lines_lost_total", [], sink.dropped];
  yield ["frontdesk_controller_resident_memory_bytes", [], process.memoryUsage().rss];
  for (const code of new Set(conditions.list().map(({ code }) => code))) {
    yield ["frontdesk_condition", [code], conditions.count(code)];
  }
  yield ["frontdesk_build_info", [version, runtime], 1];
}
