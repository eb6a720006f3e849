/** Whether a process still runs: by its id and the moment at which it started. */

import { readFileSync } from "node:fs";

/** `PID START`, START as the kernel counts it; a process that is gone has 0. */
export function identityOf(pid: number): string {
  return `${pid} ${startOf(pid)}`;
}

export function isAlive(pid: number, start: string): boolean {
  return start !== "0" && startOf(pid) === start;
}

function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses; it may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "0" : (fields[19] ?? "0");
  } catch {
    return "0";
  }
}
