/**
 * The program's own log: JSON lines, one sentence each, values as fields, secrets never.
 */

import { type Logger, pino } from "pino";
import type { Sink } from "./sink.ts";

export type Log = Logger;

/** Fields that are masked wherever they stand, in case one slips in. */
const SECRETS = ["password", "token", "userData", "authorization", "sealKey"];

export function createLog(sink: Sink, level: string): Log {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`]);
  return pino({ level, base: null, redact: { paths, censor: "[masked]" } }, sink);
}
