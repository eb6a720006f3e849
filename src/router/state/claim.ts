/**
 * The right to write in a state directory: its folders, its lock, its format, its key.
 *
 * Taken at the start, or later when the disk could not be written then. A disk that is full or
 * read-only is no reason not to start: what is there is read, and nothing is written until the
 * claim is complete.
 */

import { randomBytes } from "node:crypto";
import { type Disk, isUnwritable, reasonOf } from "./disk.ts";
import { type Lock, takeLock } from "./lock.ts";
import {
  agreeOnFormat,
  asStateError,
  makeFolders,
  type Place,
  readSealKey,
  SEAL_KEY_BYTES,
  writeSealKey,
} from "./place.ts";

export class Claim {
  readonly #place: Place;
  readonly #disk: Disk;
  readonly #sealKeyFile: string | undefined;
  #lock: Lock | undefined;
  #key: Buffer | undefined;
  #complete: Promise<Buffer> | undefined;

  constructor(options: { place: Place; disk: Disk; sealKeyFile: string | undefined }) {
    this.#place = options.place;
    this.#disk = options.disk;
    this.#sealKeyFile = options.sealKeyFile;
  }

  /**
   * Takes what can be taken now. Answers why the claim is not complete, or `undefined`.
   *
   * @throws {StateError} for what only the operator can mend.
   */
  async begin(): Promise<string | undefined> {
    try {
      await this.take();
      return undefined;
    } catch (error) {
      if (!isUnwritable(error)) {
        this.release();
        throw asStateError(error, `cannot use the state directory ${this.#place.dir}`);
      }
      return reasonOf(error);
    }
  }

  /** The key that this run seals with, written or not. */
  get key(): Buffer {
    this.#key ??= readSealKey(this.#place, this.#sealKeyFile) ?? randomBytes(SEAL_KEY_BYTES);
    return this.#key;
  }

  /** Completes the claim. Answers the key. */
  take(): Promise<Buffer> {
    this.#complete ??= this.#take().catch((error: unknown) => {
      this.#complete = undefined;
      throw error;
    });
    return this.#complete;
  }

  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  async #take(): Promise<Buffer> {
    await makeFolders(this.#place, this.#disk);
    this.#lock ??= await takeLock(this.#place.lock);
    await agreeOnFormat(this.#place, this.#disk);
    const key = this.key;
    if (this.#sealKeyFile === undefined) await writeSealKey(this.#place, key, this.#disk);
    return key;
  }
}
