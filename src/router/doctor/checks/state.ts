/** Whether the state directory can be written, has room, and is its owner's alone. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import { word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";
import type { Facts, StateDir } from "../facts.ts";
import { FREE_BYTES_LOW, FREE_BYTES_NONE, FREE_INODES_LOW, FREE_INODES_NONE } from "../limits.ts";
import { octal } from "../words.ts";

type Code =
  | "STATE_OPEN"
  | "STATE_OWNER"
  | "STATE_READ_ONLY"
  | "STATE_FORBIDDEN"
  | "STATE_FULL"
  | "STATE_LOW";

const KIND = { severity: "error", where: "router" } as const;

export const state: Check<Code> = {
  name: "state",
  title: "the state directory can be written, has room, and is private",
  kinds: {
    STATE_OPEN: {
      ...KIND,
      title: "others may look into the state directory",
      severity: "warning",
      advice: "make it its owner's alone; the router does so at its start",
    },
    STATE_OWNER: {
      ...KIND,
      title: "the state directory belongs to another user than the service's",
      advice: "give it back to root, which the unit runs as",
    },
    STATE_READ_ONLY: {
      ...KIND,
      title: "the state directory lies on a file system that is mounted read-only",
      advice: "see in the kernel's log why; mend the disk, then mount it to be written",
    },
    STATE_FORBIDDEN: {
      ...KIND,
      title: "the state directory may not be written by this user",
      advice: "correct its owner and mode; where it is another user's, run this as that one",
    },
    STATE_FULL: {
      ...KIND,
      title: "the disk of the state directory is full: changes are kept in memory only",
      advice: "free space: look for what is large, logs for instance",
    },
    STATE_LOW: {
      ...KIND,
      title: "the disk of the state directory is almost full",
      severity: "warning",
      advice: "free space: look for what is large, logs for instance",
    },
  } satisfies Record<Code, FindingKind>,
  judge(facts) {
    const { state, stateDir } = facts;
    if (state === "absent") return skipped(`${stateDir} does not exist`);
    if (state === "hidden") return skipped(`${stateDir} cannot be looked at by this user`);
    const found = [...rights(facts, state), ...room(stateDir, state)];
    const seen = `${stateDir}, ${octal(state.mode)}, ${roomWords(state)}`;
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

function* rights(
  { stateDir, systemd, isRoot, admin }: Facts,
  { uid, mode, writable }: StateDir,
): Generator<Found<Code>> {
  const dir = word(stateDir);
  const base = { certainty: "certain" } as const;
  if ((mode & 0o077) !== 0) {
    const seen = `${stateDir} has the mode ${octal(mode)}`;
    const cause = "somebody has changed it while the router ran, or since";
    yield { ...base, code: "STATE_OPEN", seen, cause, remedy: [`chmod 0700 ${dir}`] };
  }
  if (systemd.hasUnit && uid !== 0) {
    const seen = `${stateDir} belongs to user ${uid}`;
    const cause = "the unit runs the router as root without root's powers over others' files";
    yield { ...base, code: "STATE_OWNER", seen, cause, remedy: [`chown -R root: ${dir}`] };
  }
  if (writable === "read-only") {
    const seen = `${stateDir}: EROFS`;
    const cause = "it was mounted so, or the kernel has done so after an error of the disk";
    const remedy = [`mount -o remount,rw "$(stat -c %m ${dir})"`];
    yield { code: "STATE_READ_ONLY", seen, cause, certainty: "possible", remedy };
  }
  // Who may not ask the router may not write its state either: that is said once.
  if (writable === "no" && admin.kind !== "forbidden") {
    const seen = `${stateDir}, of user ${uid}, mode ${octal(mode)}, may not be written`;
    const cause = isRoot
      ? "the file system refuses it"
      : "it is another user's, or its mode forbids it";
    yield { code: "STATE_FORBIDDEN", seen, cause, certainty: "likely" };
  }
}

function* room(stateDir: string, { freeBytes, freeInodes }: StateDir): Generator<Found<Code>> {
  const bytes = freeBytes ?? Number.POSITIVE_INFINITY;
  const inodes = freeInodes ?? Number.POSITIVE_INFINITY;
  if (bytes >= FREE_BYTES_LOW && inodes >= FREE_INODES_LOW) return;
  const isFull = bytes < FREE_BYTES_NONE || inodes < FREE_INODES_NONE;
  const mount = `"$(stat -c %m ${word(stateDir)})"`;
  const byInodes = bytes >= FREE_BYTES_LOW;
  const list = byInodes ? "du -x --inodes" : "du -xk";
  yield {
    code: isFull ? "STATE_FULL" : "STATE_LOW",
    seen: `${stateDir}: ${roomWords({ freeBytes, freeInodes })}`,
    cause: byInodes ? "there are too many files" : "files on that disk have taken the space",
    certainty: "certain",
    remedy: [
      `df ${byInodes ? "-i" : "-h"} ${word(stateDir)}`,
      `${list} -a ${mount} | sort -n | tail`,
    ],
  };
}

function roomWords({ freeBytes, freeInodes }: Pick<StateDir, "freeBytes" | "freeInodes">): string {
  const bytes = freeBytes === undefined ? "" : `${Math.floor(freeBytes / (1 << 20))} MiB free`;
  const inodes = freeInodes === undefined ? "" : `${freeInodes} inodes free`;
  return [bytes, inodes].filter((one) => one !== "").join(", ") || "free space unknown";
}
