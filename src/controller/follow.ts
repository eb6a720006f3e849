/**
 * When a controller looks at its source: at the start, again and again with jitter, at a hint, and
 * after an error later and later.
 *
 * One look at everything is under way at a time. Hints that come together are one look, and it
 * begins within 100 ms unless the source is being left alone. A hint may name an instance: then
 * that one is looked at, while everything else waits for its turn.
 */

import { CloudStackError, MetadataError } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { Latch } from "../platform/watch.ts";
import type { Look, Looked } from "./look.ts";
import { Overdue, type OverdueClock } from "./overdue.ts";
import type { Troubles } from "./troubles.ts";

/** Hints that come within this are one: CloudStack tells each step of a job. ms. */
const GATHER_MS = 40;

/** More instances than this at once cost as much as a look at everything. */
const ALONE_MAX = 50;

/** Waits after errors double from the first to the second. ms. */
const BACK_OFF_MS_MIN = 1000;
const BACK_OFF_MS_MAX = 60_000;

/** After so long nothing that is remembered is trusted once. ms. */
const DOUBT_MS = 3_600_000;

export interface FollowPorts {
  readonly look: Look;
  readonly troubles: Troubles;
  readonly log: Log;
  /** How long after a look at everything the next one begins. ms. */
  readonly pollMs: () => number;
  /** From 0 to 1. */
  readonly random?: () => number;
  readonly backOffMsMin?: number;
  readonly clock?: OverdueClock;
}

/** What a controller says of itself. */
export interface FollowStatus {
  /** Of the last look at everything that succeeded; milliseconds since 1970. */
  readonly lookedAt: number | undefined;
  readonly lastMs: number;
  readonly instances: number;
  readonly looks: number;
  readonly failures: number;
  readonly looksAlone: number;
  readonly written: number;
  readonly deleted: number;
}

export class Follow {
  readonly #ports: FollowPorts;
  readonly #allLatch = new Latch();
  readonly #someLatch = new Latch();
  /** Instances that were named since they were looked at. */
  readonly #named = new Set<string>();
  /** When the next look at everything begins, and when it may at the earliest. ms, monotonic. */
  #dueMs = 0;
  #earliestMs = 0;
  #failed = 0;
  #doubtMs = performance.now() + DOUBT_MS;
  #status = {
    ...{ lookedAt: undefined as number | undefined, lastMs: 0, instances: 0 },
    ...{ looks: 0, failures: 0, looksAlone: 0, written: 0, deleted: 0 },
  };

  readonly #overdue: Overdue;

  constructor(ports: FollowPorts) {
    this.#ports = ports;
    this.#overdue = new Overdue(ports);
  }

  get status(): FollowStatus {
    return this.#status;
  }

  /** Something has changed; of one instance, if it is named. */
  hint(id?: string): void {
    if (id === undefined || this.#named.size >= ALONE_MAX) this.#hasten();
    else {
      this.#named.add(id);
      this.#someLatch.set();
    }
  }

  /** Looks at everything now, however often that has failed, and trusts nothing remembered. */
  reload(): void {
    this.#ports.look.doubt();
    this.#failed = 0;
    this.#earliestMs = 0;
    this.#overdue.hasten();
    this.#hasten();
  }

  /** Ends when the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    this.#overdue.watch(signal);
    await Promise.all([this.#runAll(signal), this.#runSome(signal)]);
  }

  #hasten(): void {
    const at = Math.max(performance.now() + GATHER_MS, this.#earliestMs);
    this.#dueMs = Math.min(this.#dueMs, at);
    this.#allLatch.set();
  }

  async #runAll(signal: AbortSignal): Promise<void> {
    while (await this.#isDue(signal)) {
      const begun = performance.now();
      this.#named.clear();
      // Who hastens from now on means another look.
      this.#dueMs = Number.POSITIVE_INFINITY;
      const waitMs = await this.#lookAtAll(signal);
      const now = performance.now();
      // However often something changes, half of the time is left to others.
      this.#earliestMs = now + (this.#failed > 0 ? waitMs : now - begun);
      const wanted = Math.max(this.#dueMs, this.#earliestMs);
      this.#dueMs = Math.min(wanted, Math.max(now + waitMs, this.#earliestMs));
    }
  }

  /** @returns false at the end */
  async #isDue(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (signal.aborted) return false;
      const ms = this.#dueMs - performance.now();
      if (ms <= 0) return true;
      const timer = setTimeout(() => this.#allLatch.set(), Math.min(ms, DOUBT_MS));
      await this.#allLatch.wait(signal);
      clearTimeout(timer);
    }
  }

  /** @returns how long to wait for the next. ms */
  async #lookAtAll(signal: AbortSignal): Promise<number> {
    const { look, troubles, log, pollMs, random = Math.random } = this.#ports;
    const begun = performance.now();
    if (begun > this.#doubtMs) {
      look.doubt();
      this.#doubtMs = begun + DOUBT_MS;
    }
    try {
      const looked = await this.#overdue.bound(signal, (own) => look.all(own));
      this.#failed = 0;
      troubles.failed(undefined);
      this.#count(looked, performance.now() - begun);
      return looked.againMs ?? pollMs() * (0.9 + random() * 0.2);
    } catch (error) {
      if (signal.aborted) return 0;
      this.#status.failures++;
      troubles.failed(error);
      if (!(error instanceof MetadataError)) log.error({ err: error }, "a look failed unforeseen");
      const { backOffMsMin = BACK_OFF_MS_MIN } = this.#ports;
      const usual = Math.min(backOffMsMin * 2 ** this.#failed++, BACK_OFF_MS_MAX);
      const asked = error instanceof CloudStackError ? (error.waitMs ?? 0) : 0;
      // Spread, so that several that failed together do not come together again.
      return Math.max(usual * (0.5 + random() / 2), asked);
    }
  }

  #count({ instances, written, deleted }: Looked, ms: number): void {
    const { log } = this.#ports;
    Object.assign(this.#status, { lookedAt: Date.now(), lastMs: ms, instances });
    this.#status.looks++;
    this.#status.written += written;
    this.#status.deleted += deleted;
    const level = written + deleted > 0 || this.#status.looks === 1 ? "info" : "debug";
    log[level]({ instances, written, deleted, ms: Math.round(ms) }, "looked at the source");
  }

  async #runSome(signal: AbortSignal): Promise<void> {
    while (await this.#someLatch.wait(signal)) {
      await pause(GATHER_MS);
      const ids = [...this.#named];
      this.#named.clear();
      if (ids.length === 0 || signal.aborted) continue;
      const isCrowd = ids.length >= ALONE_MAX;
      if (isCrowd || !(await this.#lookAtSome(ids, signal))) this.#hasten();
    }
  }

  async #lookAtSome(ids: readonly string[], signal: AbortSignal): Promise<boolean> {
    // Who cannot be asked about everything is not asked about one either.
    if (this.#failed > 0) return false;
    try {
      const isEnough = await this.#ports.look.some(ids, signal);
      this.#status.looksAlone += ids.length;
      return isEnough;
    } catch {
      // The look at everything that follows says what is wrong.
      return false;
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
