/**
 * Finds the metadata service of this instance: all candidates are asked side by side, in bounded
 * time, and the best that serves this instance is chosen.
 *
 * Proxies in the environment are ignored, redirects are refused, and an answer is a service's only
 * when it looks like one: a page of a captive portal is not.
 */

import {
  CANDIDATES_MAX,
  type CandidateOptions,
  knownCandidates,
  namedCandidates,
  ordered,
} from "./candidates.ts";
import { type Client, openClient } from "./client.ts";
import { type Answer, type Candidate, type Discovery, type Endpoint, VIAS } from "./endpoint.ts";
import { type Asked, headerOf } from "./http.ts";
import {
  DISCOVERY_MS,
  ETAG_CHARS_MAX,
  LISTING_BYTES_MAX,
  PREFERRED_MS,
  TOKEN_MS,
} from "./limits.ts";
import { isMetadataListing, parseListing } from "./listing.ts";
import { LISTING_TARGET } from "./path.ts";
import { Bell, type Limit, limitedTo, sleep } from "./waiting.ts";

export interface DiscoverOptions extends CandidateOptions {
  /** `--endpoint`: nothing else is asked. */
  readonly endpoint?: Endpoint | undefined;
  /** The limit of the whole. */
  readonly timeoutMs?: number;
  /** Wait for every candidate's answer, not only until the best is known: for `doctor`. */
  readonly all?: boolean;
  /** How to talk to a candidate; tests pass their own, so that nobody else is asked. */
  readonly open?: (endpoint: Endpoint) => Client;
}

/** What discovery found, and a client of the chosen one whose connection is open. */
export interface Found {
  readonly discovery: Discovery;
  readonly client: Client | undefined;
}

/** Asks everybody. Rejects only when the signal is aborted. */
export async function discover(options: DiscoverOptions, signal: AbortSignal): Promise<Discovery> {
  const { discovery, client } = await find(options, signal);
  client?.close();
  return discovery;
}

/** An endpoint that is being asked. */
interface Probe {
  /** The best way in which this address was found so far. */
  endpoint: Endpoint;
  readonly client: Client;
  readonly started: number;
  answer: Answer | undefined;
}

/** As `discover`; the caller closes the client. */
export async function find(options: DiscoverOptions, signal: AbortSignal): Promise<Found> {
  const started = Date.now();
  const limit = limitedTo(options.timeoutMs ?? DISCOVERY_MS, signal);
  const search = new Search(limit, options);
  try {
    if (options.endpoint !== undefined) search.add([options.endpoint]);
    else {
      search.add(knownCandidates(options));
      search.expect(namedCandidates(options, limit.signal));
    }
    await search.settled();
  } finally {
    limit.end();
  }
  await search.ended();
  const chosen = search.best();
  for (const probe of search.probes) if (probe !== chosen) probe.client.close();
  if (signal.aborted) chosen?.client.close();
  signal.throwIfAborted();
  const candidates = search.probes.map((probe): Candidate => {
    const { endpoint, answer = { kind: "abandoned", ms: Date.now() - probe.started } } = probe;
    return { endpoint, answer };
  });
  const discovery = { candidates, chosen: chosen?.endpoint, ms: Date.now() - started };
  return { discovery, client: chosen?.client };
}

/** Everybody who is asked, in order of preference. */
class Search {
  readonly probes: Probe[] = [];
  readonly #limit: Limit;
  readonly #all: boolean;
  readonly #openClient: (endpoint: Endpoint) => Client;
  readonly #running: Promise<unknown>[] = [];
  readonly #news = new Bell();
  /** Whether the resolver may still name somebody. */
  #expecting = false;

  constructor(limit: Limit, { all = false, open = openClient }: DiscoverOptions) {
    this.#limit = limit;
    this.#all = all;
    this.#openClient = open;
  }

  add(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      const known = this.probes.find((probe) => probe.endpoint.url === endpoint.url);
      if (known !== undefined) known.endpoint = ordered([known.endpoint, endpoint])[0] ?? endpoint;
      else if (this.probes.length < CANDIDATES_MAX) this.#start(endpoint);
    }
    const order = ordered(this.probes.map(({ endpoint }) => endpoint));
    this.probes.sort((a, b) => order.indexOf(a.endpoint) - order.indexOf(b.endpoint));
  }

  /** More candidates, when the resolver has answered. */
  expect(named: Promise<readonly Endpoint[]>): void {
    this.#expecting = true;
    const done = named.then((endpoints) => {
      this.#expecting = false;
      this.add(endpoints);
      this.#news.ring();
    });
    this.#running.push(done);
  }

  best(): Probe | undefined {
    return this.probes.find(({ answer }) => answer?.kind === "metadata");
  }

  /** Resolves when the best is known, or the limit is reached. */
  async settled(): Promise<void> {
    const { signal } = this.#limit;
    let firstMs: number | undefined;
    while (!signal.aborted && this.#open()) {
      const best = this.best();
      if (best === undefined || this.#all) {
        await this.#news.wait(signal);
        continue;
      }
      firstMs ??= Date.now();
      const leftMs = firstMs + PREFERRED_MS - Date.now();
      if (leftMs <= 0) return;
      await this.#news.wait(signal, leftMs);
    }
  }

  /** Resolves when nothing runs any more. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /** Whether an answer that is still out could change who is chosen. */
  #open(): boolean {
    const best = this.best();
    const pending = this.probes.filter(({ answer }) => answer === undefined);
    if (this.#all || best === undefined) return pending.length > 0 || this.#expecting;
    const better = this.probes.slice(0, this.probes.indexOf(best));
    const named = VIAS.indexOf("data-server") < VIAS.indexOf(best.endpoint.via);
    return better.some((probe) => pending.includes(probe)) || (this.#expecting && named);
  }

  #start(endpoint: Endpoint): void {
    const client = this.#openClient(endpoint);
    const probe: Probe = { endpoint, client, started: Date.now(), answer: undefined };
    this.probes.push(probe);
    const look = lookAt(client, this.#limit).then(
      (answer) => {
        probe.answer = answer;
        this.#news.ring();
      },
      () => {}, // Ended before it has answered.
    );
    this.#running.push(look);
  }
}

/** Asks for the listing and, at the same time, for a session token. */
async function lookAt(client: Client, limit: Limit): Promise<Answer> {
  const started = Date.now();
  const { signal } = limit;
  const token = client.fetchToken(signal).catch(() => false);
  try {
    const asked = await client.get(LISTING_TARGET, { bytesMax: LISTING_BYTES_MAX }, signal);
    const answer = answerOf(asked);
    if (answer.kind !== "metadata") return answer;
    const tokens = await Promise.race([token, sleep(TOKEN_MS, signal).then(() => false)]);
    return { ...answer, tokens };
  } catch (error) {
    if (!limit.expired) throw error;
    return { kind: "timeout", code: "ETIMEDOUT", ms: Date.now() - started };
  }
}

function answerOf(asked: Asked): Answer {
  const { ms } = asked;
  if (asked.kind === "too-large") return { kind: "malformed", code: asked.code, ms };
  if (asked.kind !== "reply") return { kind: asked.kind, code: asked.code, ms };
  const { status } = asked;
  if (status === 200 && isMetadataListing(asked.body)) {
    const etag = headerOf(asked, "etag", ETAG_CHARS_MAX);
    const { names } = parseListing(asked.body);
    const answer = { kind: "metadata", status, ms, names, tokens: false } as const;
    return etag === undefined ? answer : { ...answer, etag };
  }
  return { kind: kindOf(status), status, ms };
}

function kindOf(
  status: number,
): "unknown-instance" | "not-yet" | "refused" | "broken" | "redirect" | "other" {
  if (status === 404) return "unknown-instance";
  if (status === 503) return "not-yet";
  if (status === 401 || status === 403) return "refused";
  if (status >= 500) return "broken";
  return status >= 300 && status < 400 ? "redirect" : "other";
}
