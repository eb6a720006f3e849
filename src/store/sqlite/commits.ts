/**
 * What is written in the same turn is one transaction: the log, the disk and those who follow have
 * one piece of news of it instead of many. Each writer hears of its own write alone.
 */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { StoreError } from "../../model/errors.ts";
import { BUSY_PATIENCE_MS, BUSY_TIMEOUT_MS, COMMIT_MS } from "../limits.ts";
import { asStoreError, type Database, isBusy, transact } from "./database.ts";

export interface CommitOptions {
  readonly database: Database;
  /** Of the file: for errors. */
  readonly path: string;
  /** Called first in each transaction: throws where nothing may be written. */
  readonly check: () => void;
  /** Every write survives a power loss, not only those that are precious. */
  readonly isTruth: boolean;
  /** A transaction has ended: what it wrote is in force. */
  readonly onEnd: () => void;
}

interface Write {
  readonly isPrecious: boolean;
  readonly work: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Tells a writer how its write has ended, once all of its transaction is in force. */
type Tell = () => void;

export class Commits {
  readonly #options: CommitOptions;
  readonly #waiting: Write[] = [];
  #running: Promise<void> | undefined;
  #isClosed = false;
  #synchronous = "";

  constructor(options: CommitOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` in a transaction, when no other program writes. It may run again, when what it did
   * before is undone.
   *
   * @param isPrecious whether it survives a power loss, too
   * @throws {StoreError} STORE_LOCKED where another program writes for too long, STORE_CLOSED after
   *   the end; and what `work` throws.
   */
  write<T>(isPrecious: boolean, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) return reject(new StoreError("STORE_CLOSED", "the store is closed"));
      this.#waiting.push({ isPrecious, work, resolve: (result) => resolve(result as T), reject });
      this.#running ??= this.#run();
    });
  }

  /** Writes what was asked for until now, but waits for no other program any longer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  /** Does not reject. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await turn();
      this.#waiting.splice(0, await this.#together([...this.#waiting]));
    }
    this.#running = undefined;
  }

  /** @returns how many of them have ended; the others would have made it too long */
  async #together(writes: readonly Write[]): Promise<number> {
    const { path, onEnd } = this.#options;
    const deadline = performance.now() + BUSY_PATIENCE_MS;
    let tells: readonly Tell[] = [];
    while (tells.length === 0) {
      try {
        tells = this.#transact(writes);
      } catch (error) {
        const isOver = this.#isClosed || performance.now() > deadline;
        if (isBusy(error) && !isOver) await sleep(BUSY_TIMEOUT_MS);
        else
          tells = writes.map(
            ({ reject }) =>
              () =>
                reject(asStoreError(error, path)),
          );
      }
    }
    for (const tell of tells) tell();
    onEnd();
    return tells.length;
  }

  #transact(writes: readonly Write[]): readonly Tell[] {
    const { database, check, isTruth } = this.#options;
    // Of all that wait: which of them fit is not known before.
    const isPrecious = writes.some((write) => write.isPrecious);
    this.#setSynchronous(isPrecious || isTruth ? "FULL" : "NORMAL");
    return transact(database, "IMMEDIATE", () => {
      check();
      const tells: Tell[] = [];
      const end = performance.now() + COMMIT_MS;
      for (const write of writes) {
        tells.push(this.#doOne(write));
        if (performance.now() > end) break;
      }
      return tells;
    });
  }

  /** Where it fails, what it did is undone, and the others stay. */
  #doOne({ work, resolve, reject }: Write): Tell {
    const { database, path } = this.#options;
    database.exec("SAVEPOINT one");
    try {
      const result = work();
      database.exec("RELEASE one");
      return () => resolve(result);
    } catch (error) {
      if (database.isTransaction === false) throw error; // SQLite has undone all of it.
      database.exec("ROLLBACK TO one; RELEASE one");
      return () => reject(asStoreError(error, path));
    }
  }

  /** FULL: the disk has it when the write ends. NORMAL: the kernel has it, the disk soon. */
  #setSynchronous(synchronous: "FULL" | "NORMAL"): void {
    if (this.#synchronous === synchronous) return;
    this.#options.database.exec(`PRAGMA synchronous = ${synchronous}`);
    this.#synchronous = synchronous;
  }
}
