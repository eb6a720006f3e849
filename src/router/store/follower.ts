/**
 * Keeps a store open and follows it: one element at a time, and none is fetched before the last one
 * is in force. So what a busy router has not seen is not kept in memory, and comes together.
 *
 * Whatever is wrong with the store is a condition with its cause, and is tried again.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "../../model/errors.ts";
import type { FeedElement } from "../../model/feed.ts";
import { CONDITIONS, type ConditionCode, type Conditions } from "../../observe/conditions.ts";
import type { Store } from "../../store/store.ts";
import {
  ELEMENTS_MS_MIN,
  FIRST_START_REOPEN_MS,
  MANY_CHANGES,
  MANY_MS_MIN,
  REOPEN_MS,
} from "./limits.ts";

/** An element that waits to be put in force. */
export interface Handed {
  readonly element: FeedElement;
  readonly store: Store;
  /** True for the first snapshot of another store than the one that was followed before. */
  readonly isReplaced: boolean;
  /** It is in force; the next one may come. */
  done(): void;
  /** It cannot be put in force: the store is opened anew. */
  fail(error: unknown): void;
}

export interface FollowerOptions {
  /** As the operator named it: what conditions are about. */
  readonly name: string;
  readonly open: () => Promise<Store>;
  readonly conditions: Conditions;
  /** There is something to put in force, or something is wrong. */
  readonly onNews: () => void;
  /** A store that is not there is no trouble for so long after the start. ms. */
  readonly patienceMs?: number;
  /** @default ELEMENTS_MS_MIN */
  readonly elementsMsMin?: number;
}

/** What can be wrong with a store that is followed, until something could be read from it. */
const TROUBLES = [
  ...["STORE_MISSING", "STORE_KEY", "STORE_FORMAT", "STORE_UNREADABLE", "STORE_UNSUPPORTED"],
] as readonly ConditionCode[];

export class Follower {
  readonly #options: FollowerOptions;
  readonly #end = new AbortController();
  readonly #begun = performance.now();
  #running: Promise<void> | undefined;
  #store: Store | undefined;
  #handed: Handed | undefined;
  #trouble: string | undefined;
  /** What is in force: of which store, and as of when. */
  #last: { readonly id: string; readonly revision: number } | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** While one is open. */
  get store(): Store | undefined {
    return this.#store;
  }

  /** What is to be put in force. */
  get handed(): Handed | undefined {
    return this.#handed;
  }

  /** Why there is no store. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#end.abort();
    this.#handed?.done();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      let waitMs = REOPEN_MS;
      try {
        await this.#followOne();
      } catch (error) {
        if (signal.aborted) return;
        if (isReplaced(error)) continue; // What is there now is opened at once.
        if (this.#isEarly(error)) waitMs = FIRST_START_REOPEN_MS;
        else this.#fail(error);
      }
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #followOne(): Promise<void> {
    const { signal } = this.#end;
    const { open, elementsMsMin = ELEMENTS_MS_MIN } = this.#options;
    const store = await open();
    this.#store = store;
    let known = -1;
    try {
      for await (const element of store.follow(signal)) {
        if (element.revision < known) throw replaced(this.#options.name);
        known = element.revision;
        const begun = performance.now();
        await this.#hand(element, store);
        const apartMs = isMany(element) ? Math.max(MANY_MS_MIN, elementsMsMin) : elementsMsMin;
        const restMs = begun + apartMs - performance.now();
        if (restMs > 0) await sleep(restMs, undefined, { signal, ref: false }).catch(() => {});
      }
    } finally {
      this.#store = undefined;
      await store.close();
    }
  }

  async #hand(element: FeedElement, store: Store): Promise<void> {
    this.#clear();
    const { id } = store;
    const { kind, revision } = element;
    const last = this.#last;
    const isOther = last !== undefined && (last.id !== id || revision < last.revision);
    const isReplaced = kind === "snapshot" && isOther;
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        this.#handed = undefined;
        this.#last = { id, revision };
        resolve();
      };
      const fail = (error: unknown): void => {
        this.#handed = undefined;
        reject(error);
      };
      this.#handed = { element, store, isReplaced, done, fail };
      if (this.#end.signal.aborted) done();
      else this.#options.onNews();
    });
  }

  /** Whether its writer may be just about to make it. */
  #isEarly(error: unknown): boolean {
    const { patienceMs = 0 } = this.#options;
    const isMissing = error instanceof StoreError && error.code === "STORE_MISSING";
    // One that was there and is not any more is trouble, and so is one with another fault.
    if (!isMissing || this.#trouble !== undefined || this.#last !== undefined) return false;
    return performance.now() - this.#begun < patienceMs;
  }

  #fail(error: unknown): void {
    const { conditions, name, onNews } = this.#options;
    const code = codeOf(error);
    for (const other of TROUBLES) if (other !== code) conditions.clear(other, name);
    const why = error instanceof Error ? error.message : String(error);
    conditions.raise(code, name, why);
    this.#trouble = why;
    onNews();
  }

  #clear(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    for (const code of TROUBLES) this.#options.conditions.clear(code, this.#options.name);
  }
}

function isReplaced(error: unknown): boolean {
  return error instanceof StoreError && error.code === "STORE_REPLACED";
}

/** A file that an older copy was written over: what is known of it holds no more. */
function replaced(name: string): StoreError {
  return new StoreError("STORE_REPLACED", `${name} has gone back to an earlier revision`);
}

function isMany(element: FeedElement): boolean {
  return element.kind === "changes" && element.changes.length > MANY_CHANGES;
}

/** Locked, unwritable and what nobody foresaw are one thing to who reads: it cannot be read. */
function codeOf(error: unknown): ConditionCode {
  const code = error instanceof StoreError ? error.code : "STORE_UNREADABLE";
  const known = Object.hasOwn(CONDITIONS, code) ? (code as ConditionCode) : undefined;
  return known !== undefined && TROUBLES.includes(known) ? known : "STORE_UNREADABLE";
}
