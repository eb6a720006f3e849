/**
 * One program to a state directory: a file that names who holds it.
 *
 * A holder is known by its process id and the moment at which that process started, so that
 * another process with the same id does not pass for it. Whoever finds the lock of a dead process
 * takes it over; only one of several that try at once can, because all but one fail to make the
 * second file. A holder in another container cannot be seen, and counts as dead: a container that
 * was killed starts again with the same process ids.
 */

import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { StateError } from "../../model/errors.ts";
import { codeOf } from "./disk.ts";

/** How often a lock that is being taken over by another is looked at again. */
const ATTEMPTS_MAX = 50;
const ATTEMPT_MS = 20;

export interface Lock {
  /** Gives the directory free. Never throws: a lock that stays is the lock of a dead process. */
  release(): void;
}

/**
 * @throws {StateError} STATE_LOCKED, with the holder's process id.
 */
export async function takeLock(path: string): Promise<Lock> {
  const mine = `${identityOf(process.pid) ?? process.pid}\n`;
  const made = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const takeover = `${path}.takeover`;
  refuseIfHeld(path); // Before anything is written: a full disk must not hide who holds it.
  writeFileSync(made, mine, { mode: 0o600, flag: "wx" });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (tryLink(made, path)) return lockOf(path, mine);
      const holder = refuseIfHeld(path);
      if (holder !== undefined) takeOver({ made, takeover, path, holder });
      await new Promise((resolve) => setTimeout(resolve, attempt === 0 ? 0 : ATTEMPT_MS));
    }
  } finally {
    rmSync(made, { force: true });
  }
  throw new StateError("STATE_LOCKED", `${path}: other programs are taking it over; try again`);
}

/** Who holds a lock, or held it to its end; `undefined` where nobody has it. For who only looks. */
export function holderOf(
  path: string,
): { readonly pid: number; readonly isAlive: boolean } | undefined {
  const holder = readLock(path);
  if (holder === undefined) return undefined;
  return { pid: Number(holder.split(" ", 1)[0]), isAlive: isAlive(holder) };
}

/** What a dead holder wrote, if there is one. */
function refuseIfHeld(path: string): string | undefined {
  const holder = readLock(path);
  if (holder !== undefined && isAlive(holder)) throw locked(path, holder);
  return holder;
}

/** Removes a dead holder's lock, unless another does so at this moment. */
function takeOver(names: { made: string; takeover: string; path: string; holder: string }): void {
  const { made, takeover, path, holder } = names;
  if (!tryLink(made, takeover)) {
    const other = readLock(takeover);
    // It died between these lines. Moved away, not removed: what is moved can be looked at.
    if (other !== undefined && !isAlive(other)) moveAway(takeover, `${made}.dead`, other);
    return;
  }
  try {
    if (readLock(path) === holder) rmSync(path, { force: true });
  } finally {
    rmSync(takeover, { force: true });
  }
}

/** Takes a dead program's file out of the way; puts it back if meanwhile it is another's. */
function moveAway(path: string, aside: string, content: string): void {
  try {
    renameSync(path, aside);
    if (readLock(aside) !== content) tryLink(aside, path);
    rmSync(aside, { force: true });
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function lockOf(path: string, mine: string): Lock {
  return {
    release() {
      try {
        if (readLock(path) === mine.trim()) rmSync(path, { force: true });
      } catch {
        // A disk that cannot be written: the next program finds that this one is dead.
      }
    },
  };
}

function locked(path: string, holder: string): StateError {
  const pid = holder.split(" ", 1)[0];
  return new StateError(
    "STATE_LOCKED",
    `${path}: the state directory is in use by process ${pid}; ` +
      "stop it, or choose another --state-dir",
  );
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether the process that wrote `holder` still runs. */
function isAlive(holder: string): boolean {
  const pid = Number(holder.split(" ", 1)[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
  }
  const now = identityOf(pid);
  // Without /proc, or with one that hides others' processes, the process id has to do.
  if (now === undefined) return !isDead(pid);
  return !holder.includes(" ") || now === holder;
}

/** Process id, start in clock ticks since boot, boot, and process namespace. */
function identityOf(pid: number): string | undefined {
  try {
    const fields = statOf(pid);
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return `${pid} ${fields[19]} ${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return undefined;
  }
}

/** A process that has ended and was not waited for is dead, though it still has its id. */
function isDead(pid: number): boolean {
  try {
    return ["Z", "X"].includes(statOf(pid)[0] ?? "");
  } catch {
    return false;
  }
}

/** Fields of /proc/PID/stat from the third on: the second, the name, may hold anything. */
function statOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}
