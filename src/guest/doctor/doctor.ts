/**
 * Why metadata does not reach this instance: gathers what can be known in bounded time, judges it
 * by a table of checks, and names causes with their remedies. Changes nothing.
 */

import type { Endpoint } from "../endpoint.ts";
import { CHECKS } from "./checks/index.ts";
import { type Diagnosis, diagnose, needsAttention } from "./diagnose.ts";
import { gather } from "./gather.ts";
import type { DoctorPorts } from "./ports.ts";

export interface DoctorReport extends Diagnosis {
  readonly format: 1;
  readonly ok: boolean;
  /** Who serves this instance. */
  readonly endpoint: string | undefined;
  readonly ms: number;
}

export async function examine(
  ports: DoctorPorts,
  endpoint: Endpoint | undefined,
  signal: AbortSignal,
): Promise<DoctorReport> {
  const started = ports.now();
  const facts = await gather(ports, endpoint, signal);
  const diagnosis = diagnose(facts, CHECKS);
  const { target } = facts.service ?? {};
  return {
    format: 1,
    ok: !needsAttention(diagnosis),
    endpoint: target?.serves === true ? target.endpoint.url : undefined,
    ...diagnosis,
    ms: ports.now() - started,
  };
}
