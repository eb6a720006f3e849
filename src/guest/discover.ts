/**
 * Finds the metadata service of this instance: all candidates are asked side by side, in bounded
 * time, and the best that serves this instance is chosen.
 *
 * Proxies in the environment are ignored, redirects are refused, and an answer is a service's only
 * when it looks like one: a page of a captive portal is not.
 */

import type { CandidateOptions } from "./candidates.ts";
import type { Discovery, Endpoint } from "./endpoint.ts";

export interface DiscoverOptions extends CandidateOptions {
  /** `--endpoint`: nothing else is asked. */
  readonly endpoint?: Endpoint;
  /** The limit of the whole. */
  readonly timeoutMs?: number;
  /** Wait for every candidate's answer, not only until the best is known: for `doctor`. */
  readonly all?: boolean;
}

export type Discover = (options: DiscoverOptions, signal: AbortSignal) => Promise<Discovery>;
