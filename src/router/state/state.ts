/**
 * The router's state directory: what must outlive the program, sealed.
 *
 *     DIR/lock format seal.key run/     router/REALM/snapshot journal.N bodies/
 *
 * It promises: what `append` resolved for is there after a SIGKILL or a loss of power; one program
 * at a time; whatever the disk does, the program starts and goes on, and a condition says so.
 */

import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Change } from "../../model/change.ts";
import { StateError } from "../../model/errors.ts";
import type { Conditions } from "../../observe/conditions.ts";
import { type Batch, Batches, type Current } from "./batches.ts";
import { Bodies, type BodyStore } from "./bodies.ts";
import { Claim } from "./claim.ts";
import { type Disk, nodeDisk, reasonOf } from "./disk.ts";
import type { Entry, Recovered, SnapshotEntry } from "./entry.ts";
import { Journal } from "./journal.ts";
import {
  JOURNAL_BYTES_MAX,
  JOURNAL_CHANGES_MAX,
  RETRY_MS,
  SNAPSHOT_FIRST_MS,
  SNAPSHOT_INTERVAL_MS,
} from "./limits.ts";
import { type Place, placeOf } from "./place.ts";
import { type Recovery, recover, removeJournalsBelow, setAside } from "./recover.ts";
import { deriveKey } from "./seal.ts";
import { writeSnapshot } from "./snapshot.ts";

export interface StateOptions {
  readonly dir: string;
  /** Names the part of the directory that is this router's. */
  readonly realm: string;
  /** Keeps the seal key elsewhere; never created here. */
  readonly sealKeyFile?: string;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly snapshotIntervalMs?: number;
  readonly snapshotFirstMs?: number;
  readonly journalBytesMax?: number;
  readonly journalChangesMax?: number;
  readonly bodiesBytesMax?: number;
  readonly retryMs?: number;
  readonly disk?: Disk;
}

/** Everything that is known, for a snapshot. Read in slices, while changes go on. */
export type SnapshotProvider = () => Iterable<SnapshotEntry>;

export interface RouterState extends AsyncDisposable {
  readonly recovered: Recovered;
  /** True when no state of an earlier run was found, readable or not. */
  readonly firstStart: boolean;
  /** True when the state of an earlier run was set aside. */
  readonly setAside: boolean;
  /** For sockets. */
  readonly runDir: string;
  /** For digests of passwords: lives as long as the seal key. */
  readonly digestKey: Uint8Array;
  /** What everything here is sealed with; a store that this router follows is, too. */
  readonly sealKey: Uint8Array;
  readonly bodies: BodyStore;

  /**
   * Resolves when the entries are durable. Their effect must be in memory already, where the
   * snapshot provider finds it.
   *
   * @throws {StateError} STATE_UNWRITABLE; they are kept, and written when the disk allows.
   */
  append(entries: readonly Entry[]): Promise<void>;

  /**
   * The same for changes, of which those of passwords pass by. A large batch is durable with a
   * snapshot that is written at once; what is appended behind it does not wait for that.
   */
  appendChanges(changes: readonly Change[]): Promise<void>;

  /**
   * Says where snapshots come from. Until then there are none.
   *
   * @param current what is known at an address now; without it all goes through the journal
   */
  provideSnapshot(provider: SnapshotProvider, current?: Current): void;

  /** Something changed: a snapshot follows, at most every 30 s. `append` implies it. */
  requestSnapshot(): void;

  /**
   * Makes all that is known durable, now.
   *
   * @throws {StateError} STATE_UNWRITABLE
   */
  flush(): Promise<void>;

  /** Writes a last snapshot, if it can, and gives the directory free. */
  close(): Promise<void>;
}

/**
 * Opens the state directory, and makes it at the first start.
 *
 * @throws {StateError} if another program holds it, if a newer one wrote it, or if permissions or
 *   the seal key are wrong. A full disk is a condition, not an error.
 */
export async function openState(options: StateOptions): Promise<RouterState> {
  const { dir, realm, sealKeyFile, conditions, now, disk = nodeDisk } = options;
  const place = placeOf(dir, realm);
  const claim = new Claim({ place, disk, sealKeyFile });
  const unclaimed = await claim.begin();
  try {
    if (unclaimed !== undefined) conditions.raise("STATE_UNWRITABLE", dir, unclaimed);
    const bodies = new Bodies({
      folder: place.bodies,
      realm,
      disk,
      claim: () => claim.take(),
      sealKey: claim.key,
      now,
      onTrouble: (reason) => report(conditions, place.bodies, reason),
      onUnreadable: (path, reason) => {
        if (reason === undefined) conditions.clear("BODY_UNREADABLE", path);
        else conditions.raise("BODY_UNREADABLE", path, reason);
      },
      ...(options.bodiesBytesMax === undefined ? {} : { bytesMax: options.bodiesBytesMax }),
    });
    const recovery = recover({
      folder: place.realm,
      realm,
      sealKey: claim.key,
      openBody: (ref) => (bodies.has(ref) ? bodies.open(ref) : undefined),
    });
    await putAside(recovery, place, options);
    return new State({ options, place, claim, bodies, recovery });
  } catch (error) {
    claim.release();
    throw error;
  }
}

async function putAside(recovery: Recovery, place: Place, options: StateOptions): Promise<void> {
  const { damage } = recovery;
  if (damage === undefined) return;
  const { conditions, now, disk = nodeDisk } = options;
  const time = now();
  const where = `${damage.why}; the files are kept as *.aside-${time}`;
  conditions.raise("STATE_SET_ASIDE", damage.path, where);
  try {
    await setAside(place.realm, time, disk);
  } catch (error) {
    report(conditions, place.realm, reasonOf(error));
  }
}

function report(conditions: Conditions, subject: string, reason: string | undefined): void {
  if (reason === undefined) conditions.clear("STATE_UNWRITABLE", subject);
  else conditions.raise("STATE_UNWRITABLE", subject, reason);
}

interface Parts {
  readonly options: StateOptions;
  readonly place: Place;
  readonly claim: Claim;
  readonly bodies: Bodies;
  readonly recovery: Recovery;
}

class State implements RouterState {
  readonly recovered: Recovered;
  readonly firstStart: boolean;
  readonly setAside: boolean;
  readonly runDir: string;
  readonly digestKey: Uint8Array;
  readonly sealKey: Uint8Array;
  readonly bodies: Bodies;
  readonly #options: StateOptions;
  readonly #place: Place;
  readonly #claim: Claim;
  readonly #disk: Disk;
  readonly #journal: Journal;
  readonly #batches: Batches;
  #provider: SnapshotProvider | undefined;
  #dirty: boolean;
  #closed = false;
  #timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined;
  #notBefore: number;
  /** Until then a large batch is no reason for another snapshot. */
  #batchesNotBefore = 0;
  /** After a failure every snapshot waits a little. */
  #failedUntil = 0;
  #writing: Promise<void> | undefined;
  #trouble: string | undefined;

  constructor({ options, place, claim, bodies, recovery }: Parts) {
    const { realm, disk = nodeDisk, retryMs = RETRY_MS } = options;
    this.recovered = recovery.recovered;
    this.firstStart = recovery.isFirst;
    this.setAside = recovery.damage !== undefined;
    this.runDir = place.run;
    this.digestKey = deriveKey(claim.key, "digests of passwords", Buffer.alloc(0));
    this.sealKey = claim.key;
    this.bodies = bodies;
    this.#options = options;
    this.#place = place;
    this.#claim = claim;
    this.#disk = disk;
    this.#dirty = recovery.hasJournals;
    this.#notBefore = performance.now() + (options.snapshotFirstMs ?? SNAPSHOT_FIRST_MS);
    this.#journal = new Journal({
      folder: place.realm,
      realm,
      next: recovery.next,
      disk,
      claim: () => this.#take(),
      onStored: (body) => bodies.mark(body),
      refreshed: (entry) => this.#batches.refreshed(entry),
      onTrouble: (reason) => this.#onTrouble(reason),
      retryMs,
    });
    this.#batches = new Batches(
      (entries) => this.#journal.append(entries),
      options.journalChangesMax ?? JOURNAL_CHANGES_MAX,
    );
  }

  append(entries: readonly Entry[]): Promise<void> {
    const appended = this.#journal.append(this.#batches.withBindings(entries));
    if (entries.length > 0) this.requestSnapshot();
    return appended;
  }

  appendChanges(changes: readonly Change[]): Promise<void> {
    if (this.#closed || !this.#batches.takes(changes)) {
      return this.append(changes.map((change) => ({ kind: "change", change })));
    }
    const now = performance.now();
    const isTooSoon = now < this.#batchesNotBefore || now < this.#failedUntil;
    const added = this.#batches.add(changes, isTooSoon ? "journal" : "snapshot");
    this.requestSnapshot();
    return added;
  }

  provideSnapshot(provider: SnapshotProvider, current?: Current): void {
    this.#provider = provider;
    this.#batches.current = current;
    this.#schedule();
  }

  requestSnapshot(): void {
    this.#dirty = true;
    this.#schedule();
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (this.#dirty && this.#provider !== undefined) await this.#snapshot(this.#provider);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer?.handle);
    await this.flush().catch(() => {}); // The condition is raised; there is nothing more to do.
    await this.#batches.idle();
    await this.#journal.close();
    this.#claim.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(): Promise<Uint8Array> {
    const key = await this.#claim.take();
    report(this.#options.conditions, this.#options.dir, undefined);
    return key;
  }

  #schedule(): void {
    if (this.#closed || !this.#dirty || this.#provider === undefined) return;
    if (this.#writing !== undefined) return;
    const { journalBytesMax = JOURNAL_BYTES_MAX } = this.#options;
    const now = performance.now();
    const isUrgent =
      this.#journal.bytes > journalBytesMax ||
      this.#journal.needsSnapshot ||
      this.#batches.wantSnapshot;
    const at = Math.max(now, this.#failedUntil, isUrgent ? 0 : this.#notBefore);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(() => this.#onTimer(), at - now);
    handle.unref();
    this.#timer = { handle, at };
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#closed || this.#writing !== undefined || this.#provider === undefined) return;
    // A failure is a condition, and the next attempt is planned: nobody waits for this one.
    this.#snapshot(this.#provider).catch(() => {});
  }

  #snapshot(provider: SnapshotProvider): Promise<void> {
    const { snapshotIntervalMs = SNAPSHOT_INTERVAL_MS, retryMs = RETRY_MS } = this.#options;
    const { conditions } = this.#options;
    const subject = join(this.#place.realm, "snapshot");
    this.#dirty = false;
    this.#notBefore = performance.now() + snapshotIntervalMs;
    this.#batchesNotBefore = this.#notBefore;
    const batches = this.#batches.all;
    const done = this.#writeSnapshot(provider, batches).then(
      () => report(conditions, subject, undefined),
      (error: unknown) => {
        this.#dirty = true;
        this.#failedUntil = performance.now() + retryMs;
        this.#batches.toJournal(batches);
        report(conditions, subject, reasonOf(error));
        const message = `the snapshot cannot be written (${reasonOf(error)})`;
        throw new StateError("STATE_UNWRITABLE", message, { cause: error });
      },
    );
    this.#writing = done.finally(() => {
      this.#writing = undefined;
      this.#schedule();
    });
    return this.#writing;
  }

  async #writeSnapshot(provider: SnapshotProvider, batches: readonly Batch[]): Promise<void> {
    const folder = this.#place.realm;
    const disk = this.#disk;
    const sealKey = await this.#take();
    const cut = await this.#journal.rotate();
    this.bodies.beginRound();
    await writeSnapshot({
      folder,
      realm: this.#options.realm,
      disk,
      sealKey,
      cut,
      entries: provider(),
      onStored: (body) => this.bodies.mark(body),
      syncBodies: () => this.bodies.sync(),
    });
    this.#journal.forget(cut);
    this.#batches.settle(batches);
    this.#settle();
    // What is left over costs room only, and the next snapshot tries again.
    await removeJournalsBelow(folder, cut.generation, disk).catch(() => {});
    await this.bodies.collect().catch(() => {});
  }

  #onTrouble(reason: string | undefined): void {
    this.#trouble = reason;
    this.#settle();
    if (reason === undefined) this.#schedule();
  }

  /** The journal's condition holds until it can be written, and nothing waits for a snapshot. */
  #settle(): void {
    const lost = this.#journal.needsSnapshot ? "changes wait for the next snapshot" : undefined;
    report(this.#options.conditions, join(this.#place.realm, "journal"), this.#trouble ?? lost);
  }
}
