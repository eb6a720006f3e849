/**
 * Whether a folder may be a state directory: one that is not there yet, is empty, or is ours.
 *
 * It is looked at before anything in it is changed. A state directory is private, so another
 * program's folder that became one would be closed to that program.
 */

import { readdirSync, type Stats, statSync } from "node:fs";
import { StateError } from "../../model/errors.ts";
import { codeOf } from "./disk.ts";

/** Any of these says that the folder is ours. As files: /var has folders of such names. */
const OUR_FILES: ReadonlySet<string> = new Set([
  ...["format", "lock", "seal.key"],
  ...["store.sqlite", "admin.env", "tokens"],
]);

/**
 * Folders of ours, made beforehand by an administrator or by a start that was cut short. Others
 * have such folders too, so they count only where there is nothing else.
 */
const OUR_FOLDERS: ReadonlySet<string> = new Set(["run", "router", "netns", "payloads"]);

/** What a disk of one's own begins with. */
const OF_THE_DISK = "lost+found";

/** A file of ours that is on its way: `lock.123.4f`, `seal.key.new`. */
const ON_ITS_WAY = /^(lock|format|seal\.key|store\.sqlite|admin\.env|tokens)[.-]/;

const STICKY = 0o1000;

/** @throws {StateError} if `dir` is a file, a folder for everybody, or another program's. */
export function checkOurs(dir: string): void {
  const stats = statOf(dir);
  if (stats === undefined) return;
  const other = "choose another --state-dir";
  if (!stats.isDirectory()) {
    const what = stats.isFile() ? "is a file" : "is no folder";
    throw new StateError("STATE_FOREIGN", `${dir} ${what}; ${other}`);
  }
  if ((stats.mode & STICKY) !== 0) {
    throw new StateError("STATE_FOREIGN", `${dir} is a folder that many use; name one in it`);
  }
  const names = readdirSync(dir).filter((name) => name !== OF_THE_DISK);
  const isOurs = names.some((name) => OUR_FILES.has(name) && statOf(`${dir}/${name}`)?.isFile());
  if (isOurs || names.every((name) => OUR_FOLDERS.has(name) || ON_ITS_WAY.test(name))) return;
  throw new StateError(
    "STATE_FOREIGN",
    `${dir} holds what is not Frontdesk's; name an empty or a new folder with --state-dir`,
  );
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
