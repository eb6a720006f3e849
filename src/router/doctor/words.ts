/** Words that several checks use, and the commands that start and stop things on this machine. */

import { word } from "../../observe/doctor/words.ts";
import type { Facts, PortHolder } from "./facts.ts";

const SERVICE = "frontdesk-router";

/** What starts a router; none where nobody knows what it should read. */
export function startCommands(facts: Facts): readonly string[] {
  const { systemd, source, stateDir, adminFlags } = facts;
  if (systemd.runs && systemd.hasUnit) return [`systemctl start ${SERVICE}`];
  if (source === undefined) return [];
  const at = adminFlags.indexOf("--admin");
  const admin = at < 0 ? [] : ["--admin-listen", adminFlags[at + 1] ?? ""];
  const flags = ["--source", source.text, "--state-dir", stateDir, ...admin];
  return [["frontdesk router", ...flags.map(word)].join(" ")];
}

/** @param how `hangs`: it would not heed a word */
export function restartCommands(
  facts: Facts,
  pid: number | undefined,
  how?: "hangs",
): readonly string[] {
  const { runs, hasUnit } = facts.systemd;
  if (runs && hasUnit) return [`systemctl restart ${SERVICE}`];
  if (pid === undefined) return startCommands(facts);
  const kill = how === "hangs" ? `kill -KILL ${pid}` : `kill ${pid}`;
  const stop = `${kill}; while kill -0 ${pid} 2>/dev/null; do sleep 0.1; done`;
  const running = facts.routers.find((one) => one.pid === pid);
  if (running === undefined) return [stop, ...startCommands(facts)];
  const cd = running.folder === undefined ? "" : `cd ${word(running.folder)} && `;
  return [stop, cd + running.argv.map(word).join(" ")];
}

/** What has a router look at its source and at its firewall again. */
export function reloadCommands({ systemd }: Facts, pid: number | undefined): readonly string[] {
  if (systemd.runs && systemd.hasUnit) return [`systemctl reload ${SERVICE}`];
  return pid === undefined ? [] : [`kill -HUP ${pid}`];
}

/** What stops a program that holds a port, also after the next boot where it is a service. */
export function stopCommands(facts: Facts, { pid, port, unit }: PortHolder): readonly string[] {
  if (facts.systemd.runs && unit !== undefined) return [`systemctl disable --now ${word(unit)}`];
  return pid === undefined ? [`ss -ltnp 'sport = :${port}'`] : [`kill ${pid}`];
}

/** `process 12 (nginx)`. */
export function processWords(pid: number | undefined, program: string | undefined): string {
  if (pid === undefined) return "a process that this user may not see";
  return `process ${pid}${program === undefined ? "" : ` (${program})`}`;
}

/** `40 s`, `12 min`, `3 h`, `5 days`. */
export function ageWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  const hours = Math.round(seconds / 3_600);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
