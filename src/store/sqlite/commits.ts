/**
 * What is written in the same turn is one transaction: the log, the disk and those who follow have
 * one piece of news of it instead of many. Each writer hears of its own write alone.
 */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { BUSY_PATIENCE_MS, BUSY_TIMEOUT_MS, COMMIT_MS } from "../limits.ts";
import { asStoreError, type Database, isBusy, transact } from "./database.ts";

export interface CommitOptions {
  readonly database: Database;
  /** Of the file: for errors. */
  readonly path: string;
  /** Every write survives a power loss, not only those that are precious. */
  readonly isTruth: boolean;
  /** @throws {StoreError} if nothing may be written any more. */
  readonly check: () => void;
  /** What was written is in force. */
  readonly onWritten: () => void;
}

interface Write {
  readonly isPrecious: boolean;
  readonly work: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Commits {
  readonly #options: CommitOptions;
  readonly #waiting: Write[] = [];
  #isRunning = false;
  #synchronous = "";

  constructor(options: CommitOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` in a transaction, when no other program writes. It may run again, when what it did
   * before is undone.
   *
   * @param isPrecious whether it survives a power loss, too
   * @throws {StoreError} STORE_LOCKED where another program writes for too long; and what `work`
   *   throws.
   */
  write<T>(isPrecious: boolean, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ isPrecious, work, resolve: (result) => resolve(result as T), reject });
      if (!this.#isRunning) void this.#run(); // It does not reject.
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      await turn();
      this.#waiting.splice(0, await this.#together([...this.#waiting]));
    }
    this.#isRunning = false;
  }

  /** @returns how many of them have ended; the others would have made it too long */
  async #together(writes: readonly Write[]): Promise<number> {
    const results: unknown[] = [];
    const error = await this.#transact(writes, results);
    if (error === undefined) {
      for (const [at, result] of results.entries()) writes[at]?.resolve(result);
      return results.length;
    }
    if (writes.length === 1 || isBusy(error)) {
      for (const { reject } of writes) reject(asStoreError(error, this.#options.path));
      return writes.length;
    }
    // One of them cannot be written: each alone, so that no one's error is another's.
    const tried = writes.slice(0, results.length + 1);
    for (const write of tried) await this.#together([write]);
    return tried.length;
  }

  /** @returns why there is nothing of it */
  async #transact(writes: readonly Write[], results: unknown[]): Promise<unknown> {
    const { database, check, isTruth, onWritten } = this.#options;
    const isPrecious = writes.some((write) => write.isPrecious);
    const deadline = performance.now() + BUSY_PATIENCE_MS;
    for (;;) {
      try {
        check();
        this.#setSynchronous(isPrecious || isTruth ? "FULL" : "NORMAL");
        transact(database, "IMMEDIATE", () => doWhatFits(writes, results));
        onWritten();
        return undefined;
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) return error;
      }
      await sleep(BUSY_TIMEOUT_MS);
    }
  }

  /** FULL: the disk has it when the write ends. NORMAL: the kernel has it, the disk soon. */
  #setSynchronous(synchronous: "FULL" | "NORMAL"): void {
    if (this.#synchronous === synchronous) return;
    this.#options.database.exec(`PRAGMA synchronous = ${synchronous}`);
    this.#synchronous = synchronous;
  }
}

function doWhatFits(writes: readonly Write[], results: unknown[]): void {
  results.length = 0;
  const end = performance.now() + COMMIT_MS;
  for (const { work } of writes) {
    results.push(work());
    if (performance.now() > end) return;
  }
}
