/**
 * Why a router does not answer its guests, or soon may not: gathers what can be known on its
 * machine in bounded time, judges it by a table of checks, and names causes with their remedies.
 * Changes nothing, and connects to this machine's own addresses only.
 */

import { diagnose, needsAttention, type Report } from "../../observe/doctor/diagnose.ts";
import { CHECKS } from "./checks/index.ts";
import { type Examination, gather } from "./gather.ts";
import type { DoctorPorts } from "./ports.ts";

export async function examine(ports: DoctorPorts, look: Examination): Promise<Report> {
  const started = ports.now();
  const diagnosis = diagnose(await gather(ports, look), CHECKS);
  return {
    format: 1,
    ok: !needsAttention(diagnosis),
    ...diagnosis,
    ms: ports.now() - started,
  };
}
