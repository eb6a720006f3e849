/**
 * The numbers that matter, one line each. Labels come from closed sets: never an address or an id.
 *
 * The request path only adds to plain numbers; the Prometheus library is loaded when somebody
 * first scrapes.
 */

import type { Counter, Gauge, Registry } from "@prometheus-io/client";

export interface Metric {
  readonly help: string;
  readonly labels?: readonly string[];
}

// biome-ignore format: a table reads best with one line for each metric
export const METRICS = {
  frontdesk_router_requests_total: { help: "Requests answered, by port, kind of path and status.", labels: ["plane", "what", "status"] },
  frontdesk_router_bindings: { help: "Addresses that are answered." },
  frontdesk_router_passwords_pending: { help: "Passwords that wait for their guest." },
  frontdesk_router_ready: { help: "1 when the source has been read and every listener is open." },
  frontdesk_router_last_change_seconds: { help: "When a change last became visible to guests, seconds since 1970." },
  frontdesk_router_changes_total: { help: "Changes that became visible to guests." },
  frontdesk_router_mac_mismatches_total: { help: "Requests from an address whose MAC address was not the one of its lease." },
  frontdesk_router_proxied_refused_total: { help: "Connections to listeners for bridges that were closed without an answer, by reason.", labels: ["reason"] },
  frontdesk_router_firewall_drops_total: { help: "Packets that the router's own firewall dropped, by reason.", labels: ["reason"] },
  frontdesk_router_loop_delay_seconds: { help: "How late the event loop was, at worst, in the last second." },
  frontdesk_router_log_lines_lost_total: { help: "Log lines that a slow or full disk cost." },
  frontdesk_router_resident_memory_bytes: { help: "Resident memory of this process." },
  frontdesk_bridge_requests_total: { help: "Requests that the bridge answered, by port, kind of path and status.", labels: ["plane", "what", "status"] },
  frontdesk_bridge_leases: { help: "MAC addresses in the bridge's lease files: known ones are served, ambiguous ones are nobody's.", labels: ["state"] },
  frontdesk_bridge_ready: { help: "1 while nothing is wrong with what the bridge needs." },
  frontdesk_bridge_log_lines_lost_total: { help: "Log lines that a slow or full disk cost the bridge." },
  frontdesk_bridge_resident_memory_bytes: { help: "Resident memory of the bridge's process." },
  frontdesk_controller_ready: { help: "1 when the source was read once and the store says so." },
  frontdesk_controller_instances: { help: "Instances that the source had at the last look." },
  frontdesk_controller_looks_total: { help: "Looks at the source: at everything, at one instance, and those at everything that failed.", labels: ["kind"] },
  frontdesk_controller_look_seconds: { help: "How long the last look at everything took." },
  frontdesk_controller_last_look_seconds: { help: "When the last look at everything ended well, seconds since 1970." },
  frontdesk_controller_records_total: { help: "Records that were written and deleted.", labels: ["what"] },
  frontdesk_controller_hints_total: { help: "Hints that something has changed, by way and by what came of them.", labels: ["via", "outcome"] },
  frontdesk_controller_log_lines_lost_total: { help: "Log lines that a slow or full disk cost the controller." },
  frontdesk_controller_resident_memory_bytes: { help: "Resident memory of the controller's process." },
  frontdesk_condition: { help: "Subjects for which a condition holds.", labels: ["code"] },
  frontdesk_build_info: { help: "Always 1; the version and the runtime are labels.", labels: ["version", "runtime"] },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof METRICS;

/** One sample: labels in the order of the table, and the value now. */
export type Sample = readonly [name: MetricName, labels: readonly string[], value: number];

/** Whose metrics they are; those that name no program are of both. */
export type Program = "router" | "bridge" | "controller";

interface Made {
  readonly registry: Registry;
  readonly metrics: ReadonlyMap<string, Counter<string> | Gauge<string>>;
}

/** Answers `/metrics` from samples taken at that moment. */
export class Metrics {
  readonly #collect: () => Iterable<Sample>;
  readonly #program: Program;
  #made: Promise<Made> | undefined;

  constructor(collect: () => Iterable<Sample>, program: Program = "router") {
    this.#collect = collect;
    this.#program = program;
  }

  /** The Prometheus text format. */
  async text(): Promise<string> {
    this.#made ??= make(this.#program);
    const { registry, metrics } = await this.#made;
    for (const metric of metrics.values()) metric.reset();
    for (const [name, labels, value] of this.#collect()) {
      const names: readonly string[] = (METRICS[name] as Metric).labels ?? [];
      const pairs = Object.fromEntries(names.map((label, index) => [label, labels[index] ?? ""]));
      metrics.get(name)?.inc(pairs, value);
    }
    return registry.metrics();
  }
}

async function make(program: Program): Promise<Made> {
  const { Counter, Gauge, Registry } = await import("@prometheus-io/client");
  const registry = new Registry();
  const metrics = new Map<string, Counter<string> | Gauge<string>>();
  for (const [name, { help, labels = [] }] of Object.entries<Metric>(METRICS)) {
    const isOfOne = /^frontdesk_(router|bridge|controller)_/.test(name);
    if (isOfOne && !name.includes(`_${program}_`)) continue;
    const Kind = name.endsWith("_total") ? Counter : Gauge;
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    metrics.set(name, new Kind<string>(options));
  }
  return { registry, metrics };
}
