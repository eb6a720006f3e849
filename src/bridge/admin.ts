/**
 * What an operator may ask of a running bridge: whether it lives, what is wrong, and numbers.
 * Never on a guest's listener.
 */

import type { AccessLog } from "../observe/access-log.ts";
import { Metrics, type Sample } from "../observe/metrics.ts";
import type { Sink } from "../observe/sink.ts";
import type { Reply } from "../protocol/http.ts";
import { answering, json, type Routes, text } from "../protocol/operator.ts";
import type { LeaseBook } from "./leases.ts";
import type { Answered, BridgeRequest } from "./ports.ts";

/** What the bridge says of itself. */
export class Report {
  readonly #troubles = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** @param why `undefined` when it is over */
  tell(what: string, why: string | undefined): void {
    if (why === undefined) this.#troubles.delete(what);
    else this.#troubles.set(what, why);
  }

  count({ plane, what, status }: Answered): void {
    const key = `${plane} ${what} ${status}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  get troubles(): readonly { readonly what: string; readonly why: string }[] {
    return [...this.#troubles].map(([what, why]) => ({ what, why }));
  }

  *samples(): Generator<Sample> {
    for (const [key, count] of this.#counts) {
      yield ["frontdesk_bridge_requests_total", key.split(" "), count];
    }
    yield ["frontdesk_bridge_ready", [], this.#troubles.size === 0 ? 1 : 0];
  }
}

export interface AdminPorts {
  readonly report: Report;
  readonly leases: Pick<LeaseBook, "list">;
  readonly sink: Pick<Sink, "dropped">;
  readonly accessLog: Pick<AccessLog, "suppressed">;
  readonly version: string;
  readonly runtime: string;
}

interface Answering extends AdminPorts {
  readonly metrics: Metrics;
}

const ROUTES: Routes<Answering> = {
  "GET /livez": async () => text(200, "ok\n"),
  "GET /readyz": async (_request, _query, { report: { troubles } }) => {
    const ready = troubles.length === 0;
    return json(ready ? 200 : 503, { ready, troubles });
  },
  "GET /metrics": async (_request, _query, { metrics }) => text(200, await metrics.text()),
};

export function adminHandler(ports: AdminPorts): (request: BridgeRequest) => Promise<Reply> {
  const metrics = new Metrics(() => samples(ports), "bridge");
  return answering(ROUTES, { ...ports, metrics });
}

function* samples({ report, leases, sink, accessLog, version, runtime }: AdminPorts) {
  yield* report.samples();
  const states = { known: 0, ambiguous: 0 };
  for (const [, found] of leases.list()) states[found === "ambiguous" ? "ambiguous" : "known"]++;
  for (const [state, count] of Object.entries(states)) {
    yield ["frontdesk_bridge_leases", [state], count] as const;
  }
  const lost = sink.dropped + accessLog.suppressed;
  yield ["frontdesk_bridge_log_lines_lost_total", [], lost] as const;
  const { rss } = process.memoryUsage();
  yield ["frontdesk_bridge_resident_memory_bytes", [], rss] as const;
  yield ["frontdesk_build_info", [version, runtime], 1] as const;
}
