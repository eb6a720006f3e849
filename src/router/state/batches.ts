/**
 * Batches that are too large for the journal: a snapshot makes them durable at once, and they are
 * not written twice.
 *
 * It promises, with a batch under way:
 * - what is appended behind it does not wait for it. That is in order, because each entry says all
 *   there is to say about its address; only a password means the epoch of a binding, which the
 *   batch may have begun, so the binding goes ahead of it;
 * - when the snapshot cannot be written, the batch goes through the journal after all, part by part
 *   and each address as it is in memory by then: no older word comes behind a newer one.
 */

import type { Ip } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import { type Change, placeOf } from "../../model/change.ts";
import type { Entry } from "./entry.ts";
import { BATCH_PART } from "./limits.ts";
import { nextTurn } from "./turn.ts";

/** What is known at an address now: `put`, `withhold`, or `delete` if nothing. */
export type Current = (network: NetworkId, address: Ip) => Change;

/** A batch that is not durable yet. */
export interface Batch {
  readonly changes: readonly Change[];
  /** Goes through the journal, other than one that waits for a snapshot. */
  isInJournal: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export class Batches {
  readonly #append: (entries: readonly Entry[]) => Promise<void>;
  readonly #journalChangesMax: number;
  readonly #underWay = new Set<Batch>();
  /** What goes through the journal does so one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #current: Current | undefined;

  /** @param append makes entries durable through the journal */
  constructor(append: (entries: readonly Entry[]) => Promise<void>, journalChangesMax: number) {
    this.#append = append;
    this.#journalChangesMax = journalChangesMax;
  }

  set current(current: Current | undefined) {
    this.#current = current;
  }

  /** Whether these changes are such a batch. */
  takes(changes: readonly Change[]): boolean {
    if (this.#current === undefined || changes.length <= this.#journalChangesMax) return false;
    let count = 0;
    for (const { kind } of changes) if (kind !== "password") count++;
    return count > this.#journalChangesMax;
  }

  /** Resolves when the batch is durable, by the next snapshot or through the journal. */
  add(changes: readonly Change[], by: "snapshot" | "journal"): Promise<void> {
    return new Promise((resolve, reject) => {
      const batch = { changes, isInJournal: false, resolve, reject };
      this.#underWay.add(batch);
      if (by === "journal") this.toJournal([batch]);
    });
  }

  /** Whether a snapshot shall be written now. */
  get wantSnapshot(): boolean {
    for (const { isInJournal } of this.#underWay) if (!isInJournal) return true;
    return false;
  }

  /** What a snapshot holds that begins now. */
  get all(): readonly Batch[] {
    return [...this.#underWay];
  }

  /** A snapshot that holds these batches is in force. */
  settle(batches: readonly Batch[]): void {
    for (const batch of batches) if (this.#underWay.delete(batch)) batch.resolve();
  }

  /** There will be no snapshot for these now: they go through the journal. */
  toJournal(batches: readonly Batch[]): void {
    for (const batch of batches) {
      if (batch.isInJournal || !this.#underWay.has(batch)) continue;
      batch.isInJournal = true;
      this.#writing = this.#writing.then(() => this.#writeInParts(batch));
    }
  }

  /** Resolves when nothing is on its way to the journal. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  /** Entries, and ahead of each password the binding that it is meant for. */
  withBindings(entries: readonly Entry[]): readonly Entry[] {
    const current = this.#current;
    if (this.#underWay.size === 0 || current === undefined) return entries;
    return entries.flatMap((entry) => {
      if (entry.kind !== "password") return [entry];
      const { network, address } = entry.record;
      return [{ kind: "change", change: current(network, address) } as const, entry];
    });
  }

  /**
   * An entry that could not be written before, as it is now: what came behind it may be durable
   * already.
   */
  refreshed(entry: Entry): Entry {
    if (this.#current === undefined || entry.kind === "password") return entry;
    return { kind: "change", change: asNow(entry.change, this.#current) ?? entry.change };
  }

  async #writeInParts(batch: Batch): Promise<void> {
    const { changes } = batch;
    const current = this.#current;
    let failure: unknown;
    for (let at = 0; at < changes.length && this.#underWay.has(batch); at += BATCH_PART) {
      const entries: Entry[] = [];
      for (const change of changes.slice(at, at + BATCH_PART)) {
        const now = current && asNow(change, current);
        if (now !== undefined) entries.push({ kind: "change", change: now });
      }
      // What fails is kept by the journal, or in the next snapshot.
      await this.#append(entries).catch((error: unknown) => {
        failure = error;
      });
      await nextTurn();
    }
    if (!this.#underWay.delete(batch)) return; // A snapshot was faster.
    if (failure === undefined) batch.resolve();
    else batch.reject(failure);
  }
}

/** `undefined` for a password, of which the ledger has an entry. */
function asNow(change: Change, current: Current): Change | undefined {
  if (change.kind === "password") return undefined;
  const { network, address } = placeOf(change);
  return current(network, address);
}
