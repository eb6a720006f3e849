/**
 * Options that several guest commands have, and the numbers in them.
 */

import { quote, UsageError } from "../model/errors.ts";
import type { OptionSpec, Options } from "./command.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import { INTERVAL_S_MIN } from "./limits.ts";

export const JSON_OPTION: OptionSpec = { flags: "--json", summary: "print JSON, for programs" };

/** Where to ask; which is found out when it is not said. */
export const WHERE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--endpoint <url>",
    summary: "ask this one, http://HOST[:PORT]",
    env: "FRONTDESK_ENDPOINT",
  },
  { flags: "--timeout <seconds>", summary: "find and ask within this time", default: "5" },
];

export const CACHE_OPTIONS: readonly OptionSpec[] = [
  { flags: "--cached", summary: "answer from the local cache where there is one" },
  { flags: "--cache-file <path>", summary: "where that is, if not at the usual places" },
];

export const INTERVAL_OPTION: OptionSpec = {
  flags: "--interval <seconds>",
  summary: "between two looks; 10, or 60 where a look reads everything",
};

const SECONDS_MAX = 86_400;

export interface Where {
  readonly endpoint: Endpoint | undefined;
  readonly timeoutMs: number;
}

/** @throws {UsageError} for an endpoint or a number that is none. */
export function whereOf(options: Options): Where {
  const url = options.string("endpoint");
  const timeoutMs = msOf(options, "timeout") ?? 0;
  if (timeoutMs === 0) throw new UsageError("--timeout is more than 0 seconds");
  return { endpoint: url === undefined ? undefined : parseEndpoint(url), timeoutMs };
}

/** @throws {UsageError} when it is shorter than a service should bear. */
export function intervalOf(options: Options): number | undefined {
  const ms = msOf(options, "interval");
  if (ms !== undefined && ms < INTERVAL_S_MIN * 1000) {
    throw new UsageError(`--interval is ${INTERVAL_S_MIN} seconds at least`);
  }
  return ms;
}

/** Seconds as ms; `undefined` when they were not given. */
export function msOf(options: Options, name: string): number | undefined {
  const text = options.string(name);
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= SECONDS_MAX)) {
    throw new UsageError(`--${name} is a number of seconds, not ${quote(text)}`);
  }
  return Math.round(seconds * 1000);
}
