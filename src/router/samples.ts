/**
 * Where each metric's value comes from, at the moment of a scrape.
 */

import type { AccessLog } from "../observe/access-log.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Sample } from "../observe/metrics.ts";
import type { Sink } from "../observe/sink.ts";
import type { Directory } from "./directory.ts";
import type { Evidence } from "./evidence.ts";
import type { Feed } from "./feed.ts";
import type { Rim } from "./http/rim.ts";
import type { LoopDelay } from "./loop-delay.ts";
import type { Passwords } from "./passwords.ts";
import type { Proxied } from "./proxied.ts";
import type { Traffic } from "./traffic.ts";

export interface Sampled {
  readonly directory: Directory;
  readonly passwords: Passwords;
  readonly traffic: Traffic;
  readonly conditions: Conditions;
  readonly feed: Feed;
  readonly evidence: Evidence;
  readonly proxied: Pick<Proxied, "refused">;
  readonly loopDelay: LoopDelay;
  readonly accessLog: AccessLog;
  readonly sink: Sink;
  readonly ready: () => boolean;
  readonly rim: Rim;
  readonly version: string;
}

export function* samples(from: Sampled): Generator<Sample> {
  for (const [plane, what, status, count] of from.traffic.counts()) {
    yield ["frontdesk_router_requests_total", [plane, what, String(status)], count];
  }
  const { changes, lastChange } = from.feed.progress;
  yield ["frontdesk_router_bindings", [], from.directory.size];
  yield ["frontdesk_router_passwords_pending", [], from.passwords.pendingCount];
  yield ["frontdesk_router_ready", [], from.ready() ? 1 : 0];
  yield ["frontdesk_router_changes_total", [], changes];
  yield ["frontdesk_router_last_change_seconds", [], lastChange / 1000];
  yield ["frontdesk_router_mac_mismatches_total", [], from.evidence.identity.mismatches];
  for (const [reason, count] of from.proxied.refused) {
    yield ["frontdesk_router_proxied_refused_total", [reason], count];
  }
  for (const [reason, count] of Object.entries(from.evidence.drops ?? {})) {
    yield ["frontdesk_router_firewall_drops_total", [reason], count];
  }
  yield ["frontdesk_router_loop_delay_seconds", [], from.loopDelay.worstMs / 1000];
  yield [
    "frontdesk_router_log_lines_lost_total",
    [],
    from.sink.dropped + from.accessLog.suppressed,
  ];
  yield ["frontdesk_router_resident_memory_bytes", [], process.memoryUsage.rss()];
  yield ["frontdesk_build_info", [from.version, from.rim.name], 1];
  for (const code of new Set(from.conditions.list().map((condition) => condition.code))) {
    yield ["frontdesk_condition", [code], from.conditions.count(code)];
  }
}
