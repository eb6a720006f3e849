/**
 * One databag on the disk: read when it may have changed, and reported when it stays bad.
 *
 * CloudStack rewrites its databags in place, so a file that does not parse is most likely being
 * written. What was read last stays in force meanwhile.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SourceError } from "../../model/errors.ts";
import type { Conditions } from "../../observe/conditions.ts";
import type { Slices } from "../slices.ts";
import { type Accept, Bag, type Delta } from "./bag.ts";
import { FLAGS, isFileError, REASONS, readable, sign } from "./disk.ts";
import {
  BAD_GRACE_MS,
  FILE_BYTES_MAX,
  FIRST_READ_MS,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  STAMP_MS,
  TORN_READS_MAX,
} from "./limits.ts";
import { BagFlaw, digestOf } from "./members.ts";
import { linesAt, TornError } from "./stream.ts";

export interface BagFileOptions<T> {
  readonly dir: string;
  readonly name: string;
  readonly accept: Accept<T>;
  readonly conditions: Conditions;
  readonly now: () => number;
}

/** Why a file could not be taken. */
interface Fault {
  readonly code: "SOURCE_UNREADABLE" | "SOURCE_MALFORMED";
  /** The end of a sentence about the file. */
  readonly message: string;
  /** Where in the file, if it could be read. */
  readonly at?: number;
  readonly cause?: unknown;
}

interface Problem extends Fault {
  /** Since when, in the source's own time. */
  readonly since: number;
  /** Whether it has become a condition. */
  readonly raised: boolean;
}

/** What a file was when it was last read. */
interface Reading {
  /** Equal as long as the file is. */
  readonly signature: string;
  readonly problem: Fault | undefined;
  /** Milliseconds since 1970; 0 where there is no file. */
  readonly modified: number;
}

interface Attempt<T> {
  readonly delta?: Delta<T>;
  readonly reading: Reading;
}

export class BagFile<T> {
  readonly name: string;
  readonly path: string;
  readonly bag: Bag<T>;
  /** Whether it is a fault that there is none: there was one, or its content is remembered. */
  expected = false;
  /** When the content in force was written, as the file says. Milliseconds since 1970. */
  modified = 0;
  readonly #conditions: Conditions;
  readonly #now: () => number;
  #looks = 0;
  #attempts = 0;
  #reading: Reading | undefined;
  #again = false;
  #problem: Problem | undefined;

  constructor({ dir, name, accept, conditions, now }: BagFileOptions<T>) {
    this.name = name;
    this.path = join(dir, name);
    this.bag = new Bag(accept);
    this.#conditions = conditions;
    this.#now = now;
  }

  /** Whether the last look failed, and it may still be that the file is being written. */
  get isInGrace(): boolean {
    return this.#problem !== undefined && !this.#problem.raised;
  }

  get isBad(): boolean {
    return this.#problem !== undefined;
  }

  /** In how many milliseconds a look may find something that no event announces. */
  get wakeMs(): number | undefined {
    if (this.isInGrace) return Math.min(RETRY_MS_MIN * 2 ** (this.#attempts - 1), RETRY_MS_MAX);
    return this.#again ? STAMP_MS : undefined;
  }

  /**
   * Reads the file if it may have changed. What the delta says is in force once it is committed.
   * At the first look a file that was written a moment ago gets some time to become whole.
   */
  async look(slices: Slices): Promise<Delta<T> | undefined> {
    const first = this.#looks++ === 0;
    const patience = performance.now() + (first ? FIRST_READ_MS : 0);
    for (;;) {
      const { delta, reading } = await this.#attempt(slices);
      if (reading.problem === undefined) {
        this.#good();
        return delta;
      }
      const isYoung = Date.now() - reading.modified < BAD_GRACE_MS;
      if (!isYoung || performance.now() > patience) {
        await this.#bad(reading.problem, first, slices);
        return undefined;
      }
      await sleep(RETRY_MS_MIN);
    }
  }

  /** @returns what to throw where there is nothing to serve without this file. */
  async error(slices: Slices): Promise<SourceError> {
    const problem = this.#problem ?? {
      code: "SOURCE_UNREADABLE" as const,
      message: "does not exist",
      cause: Object.assign(new Error("ENOENT"), { code: "ENOENT" }),
    };
    return this.#toError(problem, slices);
  }

  /**
   * Reads one value again: a few microseconds for what lies in the page cache.
   *
   * @returns `undefined` if the file is not what it was.
   */
  again(key: string): unknown {
    const member = this.bag.get(key);
    if (member === undefined) return undefined;
    let file: number | undefined;
    try {
      file = openSync(this.path, FLAGS);
      const bytes = Buffer.allocUnsafeSlow(member.length);
      const length = readSync(file, bytes, 0, member.length, member.start);
      if (length < member.length || digestOf(bytes) !== member.digest) return undefined;
      return Object.values(JSON.parse(`{${bytes}}`))[0];
    } catch (error) {
      if (isFileError(error)) return undefined;
      throw error;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  /** The lines, counting from 1, in which some names stand, if the file is still there to count. */
  async lines(keys: readonly string[], slices: Slices): Promise<ReadonlyMap<string, number>> {
    const members = keys
      .map((key) => this.bag.get(key))
      .filter((member) => member !== undefined)
      .sort((a, b) => a.start - b.start);
    const lines = await this.#lines(
      members.map(({ start }) => start),
      slices,
    );
    return new Map(members.flatMap(({ key }, i) => (lines[i] ? [[key, lines[i]]] : [])));
  }

  async #attempt(slices: Slices): Promise<Attempt<T>> {
    let handle: FileHandle | undefined;
    try {
      const signature = sign(await stat(this.path, { bigint: true }));
      const known = this.#reading;
      if (known?.signature === signature && !this.#again) return { reading: known };
      handle = await open(this.path, FLAGS);
      return await this.#read(handle, slices);
    } catch (error) {
      if (!isFileError(error)) throw error; // Aborted, or a bug.
      const { code = "an unknown error" } = error;
      const message = REASONS[code] ?? `fails with ${code}`;
      const isFault = code !== "ENOENT" || this.expected;
      const problem = isFault
        ? { code: "SOURCE_UNREADABLE" as const, message, cause: error }
        : undefined;
      this.#reading = { signature: code, problem, modified: 0 };
      return { reading: this.#reading };
    } finally {
      await handle?.close();
    }
  }

  async #read(handle: FileHandle, slices: Slices): Promise<Attempt<T>> {
    for (let round = 1; ; round++) {
      const info = await handle.stat({ bigint: true });
      const signature = sign(info);
      const modified = Number(info.mtimeMs);
      const { delta, problem } = await this.#take(handle, info, slices);
      const isTorn = problem === TORN || sign(await handle.stat({ bigint: true })) !== signature;
      if (isTorn && round < TORN_READS_MAX) continue;
      const age = Date.now() - modified;
      // A stamp from the future says nothing of the file's age.
      this.#again = age < STAMP_MS && age > -STAMP_MS;
      if (isTorn || problem !== undefined) {
        const failed = isTorn ? TORN : problem;
        this.#reading = { signature: isTorn ? "" : signature, problem: failed, modified };
        return { reading: this.#reading };
      }
      const reading = { signature, problem, modified };
      if (delta === undefined) {
        this.#accepted(reading);
        return { reading };
      }
      const commit = (): void => {
        delta.commit();
        this.#accepted(reading);
      };
      return { delta: { changes: delta.changes, commit }, reading };
    }
  }

  /** What was read is in force. */
  #accepted(reading: Reading): void {
    this.#reading = reading;
    this.modified = reading.modified;
    this.expected = true;
  }

  async #take(
    handle: FileHandle,
    info: { isFile(): boolean; size: bigint },
    slices: Slices,
  ): Promise<{ delta?: Delta<T> | undefined; problem?: Fault }> {
    if (!info.isFile()) {
      return { problem: { code: "SOURCE_UNREADABLE", message: "is not a regular file" } };
    }
    const size = Number(info.size);
    if (size > FILE_BYTES_MAX) {
      const message = `is larger than ${FILE_BYTES_MAX / 1024 / 1024} MiB`;
      return { problem: { code: "SOURCE_MALFORMED", message } };
    }
    try {
      return { delta: await this.bag.read(readable(handle, size), slices) };
    } catch (error) {
      if (error instanceof TornError) return { problem: TORN };
      if (!(error instanceof BagFlaw)) throw error;
      return { problem: { code: "SOURCE_MALFORMED", message: error.message, at: error.at } };
    }
  }

  #good(): void {
    this.#attempts = 0;
    this.#problem = undefined;
    this.#conditions.clear("SOURCE_UNREADABLE", this.name);
    this.#conditions.clear("SOURCE_MALFORMED", this.name);
  }

  async #bad(problem: Fault, first: boolean, slices: Slices): Promise<void> {
    this.#attempts++;
    const since = this.#problem?.since ?? this.#now();
    const raised = this.#problem?.raised || first || this.#now() - since > BAD_GRACE_MS;
    const isNews = raised && !(this.#problem?.raised && sameProblem(this.#problem, problem));
    this.#problem = { ...problem, since, raised };
    if (!isNews) return;
    const { code, message } = await this.#toError(problem, slices);
    const other = code === "SOURCE_MALFORMED" ? "SOURCE_UNREADABLE" : "SOURCE_MALFORMED";
    this.#conditions.clear(other, this.name);
    this.#conditions.raise(code, this.name, message);
  }

  async #toError({ code, message, at, cause }: Fault, slices: Slices): Promise<SourceError> {
    const [line] = at === undefined ? [] : await this.#lines([at], slices);
    const place = { file: this.path, ...(line === undefined ? {} : { line }) };
    return new SourceError(code, message, place, cause === undefined ? {} : { cause });
  }

  /** The lines of some offsets; none if the file is not there to count. */
  async #lines(offsets: readonly number[], slices: Slices): Promise<number[]> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.path, FLAGS);
      const { size } = await handle.stat();
      const within = offsets.map((offset) => Math.min(offset, size));
      return await linesAt(readable(handle, size), within, slices);
    } catch (error) {
      if (error instanceof TornError || isFileError(error)) return [];
      throw error; // Aborted, or a bug.
    } finally {
      await handle?.close();
    }
  }
}

const TORN: Fault = { code: "SOURCE_MALFORMED", message: "changes whenever it is read" };

function sameProblem(a: Fault, b: Fault): boolean {
  return a.code === b.code && a.message === b.message && a.at === b.at;
}
