/**
 * The files of user data that the records name: each read once, and again only when it changed.
 */

import { FileProblem, readFile, signatureOf } from "./files.ts";
import { USER_DATA_BYTES_MAX } from "./limits.ts";

interface Known {
  readonly signature: string;
  /** Absent where the file could not be read. */
  readonly bytes?: Uint8Array;
  readonly problem?: FileProblem;
}

export class UserDataFiles {
  #known = new Map<string, Known>();
  /** Those that the load under way has asked for. */
  #used = new Set<string>();

  /** @throws {FileProblem} if there is no such file, it cannot be read, or is too large. */
  async read(path: string, signal: AbortSignal): Promise<Uint8Array> {
    this.#used.add(path);
    let known = this.#known.get(path);
    if (known === undefined) {
      known = await attempt(path, signal);
      this.#known.set(path, known);
    }
    if (known.bytes !== undefined) return known.bytes;
    throw known.problem ?? new FileProblem("SOURCE_UNREADABLE", "cannot be read");
  }

  /** Whether a file differs from what was read; such are read again when asked for. */
  async changed(signal: AbortSignal): Promise<boolean> {
    this.#used.clear();
    let changed = false;
    for (const [path, { signature }] of this.#known) {
      signal.throwIfAborted();
      if ((await signatureOf(path)) === signature) continue;
      this.#known.delete(path);
      changed = true;
    }
    return changed;
  }

  /** Forgets the files that the last load did not ask for. */
  keepUsed(): void {
    for (const path of this.#known.keys()) if (!this.#used.has(path)) this.#known.delete(path);
  }

  /** Each file with the signature under which it was read. */
  asRead(): (readonly [path: string, signature: string])[] {
    return [...this.#known].map(([path, { signature }]) => [path, signature]);
  }
}

async function attempt(path: string, signal: AbortSignal): Promise<Known> {
  const before = await signatureOf(path);
  try {
    const { bytes, signature } = await readFile(path, USER_DATA_BYTES_MAX, signal);
    return { signature, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error;
    return { signature: before, problem: error };
  }
}
