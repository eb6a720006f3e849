/**
 * The journal: entries that are durable before anybody relies on them.
 *
 * Whatever waits while the disk is busy shares one write and one sync. A file is written from its
 * beginning by one run of the program and never continued, so each run and each snapshot begins
 * another generation, `journal.N`. After a failed write nothing more goes into that file: what
 * failed is kept and tried again in a new one.
 */

import { join } from "node:path";
import type { StoredBody } from "../../model/binding.ts";
import { StateError } from "../../model/errors.ts";
import { Backlog, type Waiting } from "./backlog.ts";
import { type Disk, type DiskFile, reasonOf } from "./disk.ts";
import { estimate, FrameEncoder } from "./encode.ts";
import type { Entry } from "./entry.ts";
import {
  BACKLOG_BYTES_MAX,
  FRAME_BYTES,
  QUEUE_BYTES_MAX,
  RETRY_MS,
  SLICE_ENTRIES,
} from "./limits.ts";
import { Sealer } from "./seal.ts";
import { nextTurn } from "./turn.ts";

export interface JournalOptions {
  readonly folder: string;
  readonly realm: string;
  /** The generation that the next file gets. */
  readonly next: number;
  readonly disk: Disk;
  /**
   * Makes sure that this program may write there, before each new file: a directory that could
   * not be written at the start is claimed here later. Answers the seal key.
   */
  readonly claim: () => Promise<Uint8Array>;
  readonly onStored: (body: StoredBody) => void;
  /**
   * An entry that could not be written, when it is tried again: something newer about its address
   * may be durable by then, in a snapshot.
   */
  readonly refreshed: (entry: Entry) => Entry;
  /** A write failed (reason), or works again (`undefined`). */
  readonly onTrouble: (reason: string | undefined) => void;
  readonly retryMs?: number;
}

/** Where a snapshot takes over from the journal. */
export interface Cut {
  /** The generation that begins here. */
  readonly generation: number;
  /** Entries with a lower number were appended before. */
  readonly before: number;
  /** What the journal held. Bytes. */
  readonly bytes: number;
}

interface OpenFile {
  readonly path: string;
  readonly file: DiskFile;
  readonly sealer: Sealer;
  readonly generation: number;
  /** Up to here all is durable. */
  end: number;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #backlog = new Backlog(BACKLOG_BYTES_MAX);
  readonly #encoder: FrameEncoder;
  #next: number;
  #current: OpenFile | undefined;
  #queue: Waiting[] = [];
  #queueBytes = 0;
  /** The largest append since nothing waited. Bytes. */
  #largest = 0;
  #appended = 0;
  #bytes = 0;
  #reason: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#next = options.next;
    this.#encoder = new FrameEncoder(options.onStored);
  }

  /** Written since the last snapshot. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether something is no longer kept, so that only a snapshot can make it durable. */
  get needsSnapshot(): boolean {
    return this.#backlog.lost;
  }

  /** Resolves when the entries are durable; rejects with STATE_UNWRITABLE, and keeps them. */
  append(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      // Beside the largest: a first load is one append, and may be more than the limit by itself.
      const others = this.#queueBytes - this.#largest;
      if (others > QUEUE_BYTES_MAX) this.#suspend("the disk is too slow");
      const before = this.#queueBytes;
      const last = entries.length - 1;
      entries.forEach((entry, index) => {
        const waiting = { number: this.#appended++, bytes: estimate(entry), entry };
        const done = { resolve, reject };
        this.#enqueue(index === last ? { ...waiting, done } : waiting);
      });
      this.#largest = Math.max(this.#largest, this.#queueBytes - before);
      if (this.#reason === undefined) this.#start();
      else this.#giveUp();
    });
  }

  /** Ends the current generation, when all that was appended before this call is written. */
  rotate(): Promise<Cut> {
    return new Promise((cut) => {
      this.#enqueue({ number: this.#appended, bytes: 0, cut });
      if (this.#reason === undefined) this.#start();
      else this.#giveUp();
    });
  }

  /** A snapshot has made durable what was there at the cut. */
  forget({ before, bytes }: Cut): void {
    this.#backlog.forget(before);
    this.#bytes -= bytes;
  }

  /** Waits for what is being written, and ends. What failed before is not tried again. */
  async close(): Promise<void> {
    clearTimeout(this.#retry);
    while (this.#work !== undefined) await this.#work;
    clearTimeout(this.#retry);
    this.#reason ??= "the state directory is closed";
    await this.#endFile();
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.push(waiting);
    this.#queueBytes += waiting.bytes;
  }

  #start(): void {
    // Begun in a microtask, so that what is appended in one go is written in one go.
    this.#work ??= Promise.resolve()
      .then(() => this.#drain())
      .finally(() => {
        this.#work = undefined;
        if (this.#reason !== undefined) this.#giveUp();
        else if (this.#queue.length > 0) this.#start();
      });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && this.#reason === undefined) {
      const batch = takeFrame(this.#queue);
      for (const { bytes } of batch) this.#queueBytes -= bytes;
      if (this.#queue.length === 0) this.#largest = 0;
      if (batch[0]?.cut !== undefined) {
        await this.#endFile();
        batch[0].cut(this.#cut(batch[0].number));
        continue;
      }
      try {
        await this.#write(batch);
        for (const { done } of batch) done?.resolve();
        if (this.#queue.length > 0) await nextTurn();
      } catch (error) {
        this.#queue.unshift(...batch);
        await this.#fail(error);
      }
    }
  }

  #cut(before: number): Cut {
    return { generation: this.#next, before, bytes: this.#bytes };
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const encoder = this.#encoder;
    for (const [at, { entry }] of batch.entries()) {
      if (entry !== undefined) encoder.add(entry);
      if (at % SLICE_ENTRIES === SLICE_ENTRIES - 1) await nextTurn();
    }
    if (encoder.isEmpty) return;
    const content = encoder.finish();
    const open = this.#current ?? (await this.#openFile());
    const frame = open.sealer.seal(content);
    await open.file.write(frame);
    await open.file.sync();
    open.end += frame.length;
    this.#bytes += frame.length;
  }

  async #openFile(): Promise<OpenFile> {
    const { folder, realm, disk, claim } = this.#options;
    const sealKey = await claim();
    const generation = this.#next;
    const path = join(folder, `journal.${generation}`);
    const sealer = new Sealer(sealKey, { kind: "journal", label: realm }, generation);
    await disk.remove(path); // Of an attempt that failed.
    const file = await disk.create(path);
    this.#current = { path, file, sealer, generation, end: 0 };
    this.#next = generation + 1;
    await file.write(sealer.header);
    await disk.syncFolder(folder);
    this.#current.end = sealer.header.length;
    return this.#current;
  }

  async #endFile(): Promise<void> {
    const ended = this.#current;
    this.#current = undefined;
    await ended?.file.close().catch(() => {}); // What was promised is synced already.
  }

  async #fail(error: unknown): Promise<void> {
    const failed = this.#current;
    this.#current = undefined;
    if (failed !== undefined) await this.#abandon(failed);
    this.#suspend(reasonOf(error));
  }

  /** Gives back the space of what was half written. If that fails too, readers cut it off. */
  async #abandon({ file, path, end, sealer, generation }: OpenFile): Promise<void> {
    const empty = end <= sealer.header.length;
    if (!empty) await file.truncate(end).catch(() => {});
    await file.close().catch(() => {});
    if (!empty) return;
    this.#next = generation;
    await this.#options.disk.remove(path).catch(() => {});
  }

  /** Stops writing for a while. */
  #suspend(reason: string): void {
    const { retryMs = RETRY_MS, onTrouble } = this.#options;
    this.#reason = reason;
    onTrouble(reason);
    this.#giveUp();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#tryAgain(), retryMs);
    this.#retry.unref();
  }

  /** Keeps what waits, and tells those who wait. */
  #giveUp(): void {
    const message = `the journal cannot be written (${this.#reason})`;
    for (const waiting of this.#queue.splice(0)) {
      waiting.done?.reject(new StateError("STATE_UNWRITABLE", message));
      if (waiting.cut !== undefined) this.#cutWhenIdle(waiting, waiting.cut);
      this.#backlog.keep(waiting);
    }
    this.#queueBytes = 0;
    this.#largest = 0;
  }

  /**
   * The file ends with the cut, because the snapshot removes it. What is still being written must
   * lie before the cut, or it would be read as newer than the snapshot; so the cut waits for it.
   */
  #cutWhenIdle(waiting: Waiting, answer: (cut: Cut) => void): void {
    if (this.#work !== undefined) {
      this.#queue.push(waiting);
      return;
    }
    const cut = this.#cut(waiting.number);
    void this.#endFile().then(() => answer(cut));
  }

  #tryAgain(): void {
    if (this.#work !== undefined) {
      this.#suspend(this.#reason ?? ""); // A write still hangs.
      return;
    }
    this.#reason = undefined;
    for (const waiting of this.#backlog.take()) {
      const entry = waiting.entry && this.#options.refreshed(waiting.entry);
      this.#enqueue(entry === undefined ? waiting : { ...waiting, entry });
    }
    this.#work = this.#probe()
      .then(() => this.#drain())
      .finally(() => {
        this.#work = undefined;
        if (this.#reason !== undefined) {
          this.#giveUp();
          return;
        }
        this.#options.onTrouble(undefined);
        if (this.#queue.length > 0) this.#start();
      });
  }

  /** Shows whether a file can be made again, be there anything to write or not. */
  async #probe(): Promise<void> {
    try {
      if (this.#current === undefined) await this.#openFile();
    } catch (error) {
      await this.#fail(error);
    }
  }
}

/** The next entries that make one frame, or the next cut alone. */
function takeFrame(queue: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const waiting of queue) {
    if (count > 0 && (waiting.cut !== undefined || bytes + waiting.bytes > FRAME_BYTES)) break;
    bytes += waiting.bytes;
    count++;
    if (waiting.cut !== undefined) break;
  }
  return queue.splice(0, count);
}
