/**
 * Bodies that are too large to lie in memory: one sealed file each, named by a keyed hash of the
 * content, so that equal bodies are there once and names say nothing.
 *
 * A file is written whole and then renamed; it survives the program at once and a loss of power
 * from the next snapshot on. Files that no binding names are removed after a snapshot. When there
 * is no room, the caller keeps the body in memory.
 */

import { createHmac } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import type { StoredBody } from "../../model/binding.ts";
import { StateError } from "../../model/errors.ts";
import { contentHash } from "../../protocol/etag.ts";
import { type Disk, type DiskFile, reasonOf } from "./disk.ts";
import { BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_FRAME_BYTES, BODY_GRACE_MS } from "./limits.ts";
import {
  deriveKey,
  FRAME_HEADER_BYTES,
  HEADER_BYTES,
  Opener,
  readFrameHeader,
  Sealer,
  TAG_BYTES,
} from "./seal.ts";

/** What a binding in the journal says of a body. */
export interface BodyRef {
  readonly length: number;
  readonly hash: string;
}

export interface BodyStore {
  /** `undefined` if there is no room, or the disk cannot be written. */
  store(bytes: Uint8Array): Promise<StoredBody | undefined>;
  /** Without looking whether it can be read. */
  open(ref: BodyRef): StoredBody;
  /** Whether there is a file of the right size for it. Blocks, for the start of the program. */
  has(ref: BodyRef): boolean;
  /** A body that is there: it is not removed within `BODY_GRACE_MS`, named or not. Blocks. */
  keep(ref: BodyRef): StoredBody | undefined;
  /** Called once when a body turns out to be lost: the source must say its binding again. */
  onLost: ((ref: BodyRef) => void) | undefined;
}

export interface BodiesOptions {
  readonly folder: string;
  readonly realm: string;
  readonly disk: Disk;
  readonly sealKey: Uint8Array;
  /** Makes sure that this program may write there. */
  readonly claim: () => Promise<unknown>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A write failed (reason), or works again (`undefined`). */
  readonly onTrouble: (reason: string | undefined) => void;
  /** A body cannot be read back (reason), or is no longer wanted or in order (`undefined`). */
  readonly onUnreadable: (path: string, reason: string | undefined) => void;
  readonly bytesMax?: number;
}

interface Held {
  /** On the disk; unknown for files of an earlier run until they are counted. */
  bytes: number | undefined;
  /** The last round of `collect` in which a binding named it. */
  named: number;
  touchedAt: number;
  durable: boolean;
}

const NAME = /^[A-Za-z0-9_-]{32}$/;

export class Bodies implements BodyStore {
  readonly #options: BodiesOptions;
  readonly #held = new Map<string, Held>();
  readonly #writing = new Map<string, Promise<boolean>>();
  readonly #leftovers: string[] = [];
  /** Names of bodies that cannot be read, and the last round in which a binding named each. */
  readonly #unreadable = new Map<string, number>();
  readonly #removing = new Map<string, Promise<void>>();
  readonly #nameKey: Buffer;
  #bytes = 0;
  #round = 1;
  #counted: Promise<void> | undefined;
  onLost: ((ref: BodyRef) => void) | undefined;

  constructor(options: BodiesOptions) {
    this.#options = options;
    this.#nameKey = deriveKey(options.sealKey, "names of bodies", Buffer.alloc(0));
    for (const name of listFolder(options.folder)) {
      if (!NAME.test(name)) this.#leftovers.push(name);
      else this.#hold(name, { bytes: undefined, durable: true });
    }
  }

  async store(bytes: Uint8Array): Promise<StoredBody | undefined> {
    const ref = { length: bytes.length, hash: contentHash(bytes) };
    try {
      if (bytes.length > BODY_BYTES_MAX) return undefined;
      await this.#options.claim();
      await this.#count();
      const name = this.#nameOf(ref);
      await this.#removing.get(name);
      let writing = this.#writing.get(name);
      // A file of another size is what a loss of power leaves.
      if (writing === undefined && this.#held.get(name)?.bytes !== sizeOf(bytes.length)) {
        writing = this.#write(name, bytes).finally(() => this.#writing.delete(name));
        this.#writing.set(name, writing);
      }
      if (writing !== undefined && !(await writing)) return undefined;
      this.mark(ref);
      return this.open(ref);
    } catch (error) {
      this.#options.onTrouble(reasonOf(error));
      return undefined;
    }
  }

  open(ref: BodyRef): StoredBody {
    const { length, hash } = ref;
    return { length, hash, read: () => this.#read(ref) };
  }

  has(ref: BodyRef): boolean {
    const name = this.#nameOf(ref);
    if (!this.#held.has(name)) return false;
    // The size is written after the content, so it tells what a loss of power has spoilt.
    const path = join(this.#options.folder, name);
    return statSync(path, { throwIfNoEntry: false })?.size === sizeOf(ref.length);
  }

  keep(ref: BodyRef): StoredBody | undefined {
    if (!this.has(ref)) return undefined;
    this.mark(ref);
    return this.open(ref);
  }

  /** A binding names it. */
  mark(ref: BodyRef): void {
    const name = this.#nameOf(ref);
    if (this.#unreadable.has(name)) this.#unreadable.set(name, this.#round);
    const held = this.#held.get(name);
    if (held === undefined) return;
    held.named = this.#round;
    held.touchedAt = this.#options.now();
  }

  /** A snapshot begins: what it and all that follows does not name, `collect` removes. */
  beginRound(): void {
    this.#round++;
  }

  /** Makes all bodies survive a loss of power. */
  async sync(): Promise<void> {
    const { folder, disk } = this.#options;
    const fresh = [...this.#held].filter(([, { durable }]) => !durable);
    if (fresh.length === 0) return;
    for (const [name, held] of fresh) {
      await disk.syncFile(join(folder, name));
      held.durable = true;
    }
    await disk.syncFolder(folder);
  }

  /** Removes the files that nothing has named since `beginRound`. */
  async collect(): Promise<void> {
    const { folder, disk, now } = this.#options;
    await this.#count();
    for (const name of this.#leftovers.splice(0)) await disk.remove(join(folder, name));
    for (const [name, named] of this.#unreadable) if (named < this.#round) this.#mended(name);
    const oldest = now() - BODY_GRACE_MS;
    for (const [name, { named, touchedAt, bytes = 0 }] of this.#held) {
      if (named >= this.#round || touchedAt > oldest || this.#writing.has(name)) continue;
      this.#held.delete(name);
      this.#bytes -= bytes;
      await disk.remove(join(folder, name));
    }
  }

  async #write(name: string, bytes: Uint8Array): Promise<boolean> {
    const { folder, disk, onTrouble, bytesMax = BODIES_BYTES_MAX } = this.#options;
    const size = sizeOf(bytes.length);
    if (this.#bytes + size > bytesMax) {
      onTrouble(`bodies would take more than ${bytesMax} bytes`);
      return false;
    }
    this.#bytes += size - (this.#held.get(name)?.bytes ?? 0); // At once: many may be on their way.
    const made = join(folder, `${name}.new`);
    try {
      await disk.remove(made);
      const file = await disk.create(made);
      try {
        await this.#seal(file, name, bytes);
      } finally {
        await file.close();
      }
      await disk.rename(made, join(folder, name));
    } catch (error) {
      this.#bytes -= size - (this.#held.get(name)?.bytes ?? 0);
      await disk.remove(made).catch(() => {});
      throw error;
    }
    this.#hold(name, { bytes: size, durable: false });
    this.#mended(name);
    onTrouble(undefined);
    return true;
  }

  async #seal(file: DiskFile, name: string, bytes: Uint8Array): Promise<void> {
    const sealer = new Sealer(this.#options.sealKey, this.#identity(name), 0);
    await file.write(sealer.header);
    for (let at = 0; at === 0 || at < bytes.length; at += BODY_FRAME_BYTES) {
      const part = bytes.subarray(at, at + BODY_FRAME_BYTES);
      await file.write(sealer.seal(part, at + BODY_FRAME_BYTES >= bytes.length));
    }
  }

  async #read(ref: BodyRef): Promise<Uint8Array> {
    const name = this.#nameOf(ref);
    const path = join(this.#options.folder, name);
    const held = this.#held.get(name);
    let reason = "it is not whole";
    let isLost = true;
    let cause: unknown;
    try {
      const bytes = await this.#unseal(path, name, ref.length);
      if (bytes !== undefined) {
        this.#mended(name);
        return bytes;
      }
    } catch (error) {
      cause = error;
      reason = reasonOf(error);
      isLost = reason === "ENOENT"; // Anything else may be over the next time.
    }
    // Else it was collected or written anew while it was being read.
    if (held !== undefined && held === this.#held.get(name) && !this.#writing.has(name)) {
      this.#unreadable.set(name, this.#round);
      this.#options.onUnreadable(path, reason);
      if (isLost) this.#giveUp(ref, { name, path, bytes: held.bytes ?? 0 });
    }
    const message = `${path}: the body cannot be read (${reason})`;
    throw new StateError("STATE_UNREADABLE", message, { cause });
  }

  /**
   * So that the next `store` writes it anew, and the next start finds no file whose size it would
   * believe, and asks the source.
   */
  #giveUp(
    ref: BodyRef,
    { name, path, bytes }: { name: string; path: string; bytes: number },
  ): void {
    this.#held.delete(name);
    this.#bytes -= bytes;
    const removed = this.#options.disk.remove(path).catch(() => {});
    this.#removing.set(
      name,
      removed.then(() => void this.#removing.delete(name)),
    );
    this.onLost?.(ref);
  }

  #mended(name: string): void {
    if (!this.#unreadable.delete(name)) return;
    this.#options.onUnreadable(join(this.#options.folder, name), undefined);
  }

  /** The seal is the proof: key and name belong to this content only. */
  async #unseal(path: string, name: string, length: number): Promise<Uint8Array | undefined> {
    const handle = await open(path, "r");
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      await handle.read(header, 0, HEADER_BYTES, 0);
      const opener = Opener.open(this.#options.sealKey, this.#identity(name), header);
      if (opener === undefined) return undefined;
      const body = new Uint8Array(length);
      const buffer = Buffer.alloc(FRAME_HEADER_BYTES + BODY_FRAME_BYTES + TAG_BYTES);
      let at = HEADER_BYTES;
      let filled = 0;
      for (let index = 0; ; index++) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
        const frame = readFrameHeader(buffer.subarray(0, bytesRead));
        const end = FRAME_HEADER_BYTES + (frame?.length ?? 0);
        if (frame === undefined || end > bytesRead) return undefined;
        const content = opener.unseal(buffer.subarray(0, end), index);
        if (content === undefined || filled + content.length > length) return undefined;
        body.set(content, filled);
        filled += content.length;
        at += end;
        if (frame.last) return filled === length ? body : undefined;
      }
    } finally {
      await handle.close();
    }
  }

  #hold(name: string, { bytes, durable }: Pick<Held, "bytes" | "durable">): void {
    this.#held.set(name, { bytes, durable, named: 0, touchedAt: this.#options.now() });
  }

  /** Files of an earlier run are measured when it first matters: not before the first answer. */
  #count(): Promise<void> {
    this.#counted ??= (async () => {
      for (const [name, held] of this.#held) {
        if (held.bytes !== undefined) continue;
        const found = await stat(join(this.#options.folder, name)).catch(() => undefined);
        held.bytes = found?.size ?? 0;
        this.#bytes += held.bytes;
      }
    })();
    return this.#counted;
  }

  #identity(name: string): { kind: "body"; label: string } {
    return { kind: "body", label: `${this.#options.realm} ${name}` };
  }

  #nameOf({ length, hash }: BodyRef): string {
    const mac = createHmac("sha256", this.#nameKey).update(`${length} ${hash}`);
    return mac.digest("base64url").slice(0, 32);
  }
}

/** What a body takes on the disk. */
function sizeOf(length: number): number {
  const frames = Math.max(1, Math.ceil(length / BODY_FRAME_BYTES));
  return HEADER_BYTES + length + frames * (FRAME_HEADER_BYTES + TAG_BYTES);
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not made yet: a disk that could not be written at the start.
  }
}
