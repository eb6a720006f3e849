/**
 * Files that `harden` writes: whole or not at all, and gone without a trace when they are removed.
 */

import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

export interface Files {
  /** What the paths below lie under: `/`, or an image's folder. */
  readonly root: string;
  /** A file, a character for each byte, so that it can be written back; `undefined`: not there. */
  read(path: string): string | undefined;
  list(path: string): readonly string[];
  /** Replaces a file, keeping its owner and mode; a new one is root's, and all may read it. */
  write(path: string, text: string): void;
  /** Removes a file, if it is there. */
  remove(path: string): void;
  /** Owner and mode; `undefined` if it is not there. Follows no link. */
  stat(path: string): { readonly uid: number; readonly mode: number } | undefined;
}

export function openFiles(root = "/"): Files {
  const at = (path: string): string => join(root, path);
  return {
    root,
    read: (path) => unlessAbsent(() => readFileSync(at(path), "latin1")),
    list: (path) => unlessAbsent(() => readdirSync(at(path)).sort()) ?? [],
    write: (path, text) => replace(at(path), text),
    remove: (path) => rmSync(at(path), { force: true }),
    stat: (path) => unlessAbsent(() => lstatSync(at(path))),
  };
}

function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  // /etc/hosts is a link on some systems: what it leads to is replaced, the link stays.
  const target = unlessAbsent(() => realpathSync(path)) ?? path;
  const old = unlessAbsent(() => lstatSync(target));
  const draft = `${target}.frontdesk-${process.pid}`;
  try {
    writeFileSync(draft, text, { encoding: "latin1", mode: 0o600, flag: "wx" });
    if (old !== undefined) chownSync(draft, old.uid, old.gid);
    chmodSync(draft, old === undefined ? 0o644 : old.mode & 0o7777);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    // A file that is mounted by itself, as in containers, cannot be renamed over.
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    writeFileSync(target, text, "latin1");
  }
}

function unlessAbsent<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
