/**
 * A diagnosis for people: a table of the checks, then each finding with its cause and remedy. What
 * came from the network is made harmless before it is shown.
 */

import { clean } from "../../model/clean.ts";
import type { Diagnosis } from "./diagnose.ts";
import type { Finding } from "./finding.ts";

const MARKS = { ok: "ok", note: "note", attention: "LOOK", skipped: "-" } as const;
const NAME_COLUMNS = 12;
const MARK_COLUMNS = 6;

export function renderDiagnosis(
  { checks, findings, consequences }: Diagnosis,
  { ms }: { readonly ms: number },
): readonly string[] {
  const rows = checks.map(
    ({ name, state, seen }) =>
      `${MARKS[state].padEnd(MARK_COLUMNS)}${name.padEnd(NAME_COLUMNS)}${clean(seen)}`,
  );
  const follow = consequences.map(
    ({ code, seen, becauseOf }) => `  ${code}, because of ${becauseOf}: ${clean(seen)}`,
  );
  const attention = findings.filter(({ severity }) => severity !== "info").length;
  const sum = attention === 0 ? "nothing needs attention" : `${attention} to look at`;
  return [
    ...rows,
    ...findings.flatMap(renderFinding),
    ...(follow.length === 0 ? [] : ["", "What follows from that:", ...follow]),
    "",
    `${sum}; ${checks.length} checks in ${(ms / 1000).toFixed(1)} s`,
  ];
}

/** One finding, a blank line before it. */
export function renderFinding(finding: Finding): readonly string[] {
  const { code, severity, title, seen, cause, certainty, remedy, where, advice } = finding;
  const place = where === "guest" ? "in this instance" : `on the ${where}`;
  const sure = { certain: "", likely: "probably: ", possible: "perhaps: " }[certainty];
  const commands = remedy.map((command) => `      ${clean(command)}`);
  return [
    "",
    `${severity.toUpperCase()} ${code}: ${title}`,
    `  seen:   ${clean(seen)}`,
    `  cause:  ${sure}${clean(cause)}`,
    `  advice: ${advice}`,
    ...(commands.length === 0 ? [] : [`  remedy, ${place}, as root:`, ...commands]),
  ];
}
