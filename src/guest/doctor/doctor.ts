/**
 * Why metadata does not reach this instance: gathers what can be known in bounded time, judges it
 * by a table of checks, and names causes with their remedies. Changes nothing.
 */

import { diagnose, needsAttention, type Report } from "../../observe/doctor/diagnose.ts";
import type { Endpoint } from "../endpoint.ts";
import { type Capture, capture } from "./capture.ts";
import { CHECKS } from "./checks/index.ts";
import { gather } from "./gather.ts";
import type { DoctorPorts } from "./ports.ts";
import { reliedOn } from "./words.ts";

export interface DoctorReport extends Report {
  /** Who serves this instance. */
  readonly endpoint: string | undefined;
  /** Only where it was asked for. */
  readonly capture?: Capture;
}

export interface Examination {
  /** The only one to ask. */
  readonly endpoint: Endpoint | undefined;
  /** Whether to watch the packets of a request. */
  readonly capture: boolean;
}

export async function examine(
  ports: DoctorPorts,
  { endpoint, capture: withCapture }: Examination,
  signal: AbortSignal,
): Promise<DoctorReport> {
  const started = ports.now();
  const facts = await gather(ports, endpoint, signal);
  const diagnosis = diagnose(facts, CHECKS);
  const { target } = facts.service ?? {};
  const captured = withCapture
    ? await capture(ports, target ?? reliedOn(facts)[0], diagnosis)
    : undefined;
  const failed = captured?.state === "taken" && captured.reading.severity !== "info";
  return {
    format: 1,
    ok: !needsAttention(diagnosis) && !failed,
    endpoint: target?.serves === true ? target.endpoint.url : undefined,
    ...diagnosis,
    ...(captured === undefined ? {} : { capture: captured }),
    ms: ports.now() - started,
  };
}
