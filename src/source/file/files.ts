/**
 * Reading files of the operator's: regular ones only, whole, within a limit, and never half-written
 * where that can be told.
 */

import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { SETTLE_MS, SETTLE_ROUNDS_MAX, SETTLED_MS } from "./limits.ts";

/** Why a file's content cannot be had; the message is the end of a sentence about the file. */
export class FileProblem extends Error {
  readonly code: "SOURCE_UNREADABLE" | "SOURCE_MALFORMED";

  constructor(code: FileProblem["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface FileContent {
  readonly bytes: Buffer;
  /** Changes whenever the file may have. */
  readonly signature: string;
}

/**
 * Reads `path` whole. A file that was written a moment ago is looked at until it rests.
 *
 * @throws {FileProblem} if it is not a regular file, cannot be read, or is over `bytesMax`.
 */
export async function readFile(
  path: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<FileContent> {
  for (let round = 1; ; round++) {
    const content = await readOnce(path, bytesMax);
    if (Date.now() - content.modified > SETTLED_MS || round >= SETTLE_ROUNDS_MAX) return content;
    await setTimeout(SETTLE_MS, undefined, { signal });
    if ((await signatureOf(path)) === content.signature) return content;
  }
}

/** What `readFile` would give as the signature; `absent` where there is nothing to read. */
export async function signatureOf(path: string): Promise<string> {
  try {
    return sign(await stat(path, { bigint: true }));
  } catch (error) {
    return `absent ${codeOf(error)}`;
  }
}

async function readOnce(
  path: string,
  bytesMax: number,
): Promise<FileContent & { readonly modified: number }> {
  let handle: FileHandle | undefined;
  try {
    // Before `open`, because opening a device may do something; non-blocking, because a FIFO that
    // takes the file's place in between would never open.
    checkRegular(await stat(path, { bigint: true }));
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const info = await handle.stat({ bigint: true });
    checkRegular(info);
    if (info.size > BigInt(bytesMax)) throw tooLarge(bytesMax);
    const bytes = await readAll(handle, Number(info.size), bytesMax);
    return { bytes, signature: sign(info), modified: Number(info.mtimeMs) };
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(
      "SOURCE_UNREADABLE",
      REASONS[codeOf(error)] ?? `fails with ${codeOf(error)}`,
    );
  } finally {
    await handle?.close();
  }
}

async function readAll(handle: FileHandle, size: number, bytesMax: number): Promise<Buffer> {
  // One more byte than expected, so that a file that has grown is noticed.
  let buffer = Buffer.allocUnsafeSlow(size + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > bytesMax) throw tooLarge(bytesMax);
    if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
  }
}

function checkRegular(info: { isFile(): boolean }): void {
  if (!info.isFile()) throw new FileProblem("SOURCE_UNREADABLE", "is not a regular file");
}

function tooLarge(bytesMax: number): FileProblem {
  return new FileProblem("SOURCE_MALFORMED", `is larger than ${bytesMax / 1024 / 1024} MiB`);
}

interface Stamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

function sign({ dev, ino, size, mtimeNs, ctimeNs }: Stamp): string {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "an unknown error";
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is not a directory",
  EACCES: "may not be read by this program",
  EPERM: "may not be read by this program",
  EISDIR: "is not a regular file",
  ELOOP: "cannot be reached: its links go round in a circle",
  ENAMETOOLONG: "cannot exist: its name is too long",
  ERR_INVALID_ARG_VALUE: "cannot exist: its name has a character that no name has",
};
