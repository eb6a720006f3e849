/**
 * Runs every check over the facts, and tells causes from what follows from them.
 *
 * A finding whose kind is explained by another one that was found, about the same address or about
 * the whole machine, is a consequence. A cause that is only possible, or only a note, explains
 * nothing away that is surer or graver.
 */

import type { Check, Verdict } from "./check.ts";
import type { Consequence, Finding, FindingKind, Found } from "./finding.ts";

export interface CheckReport {
  readonly name: string;
  readonly title: string;
  readonly state: "ok" | "note" | "attention" | "skipped";
  readonly seen: string;
}

export interface Diagnosis {
  readonly checks: readonly CheckReport[];
  /** Most severe first. */
  readonly findings: readonly Finding[];
  readonly consequences: readonly Consequence[];
}

export function diagnose<Facts>(facts: Facts, checks: readonly Check<Facts>[]): Diagnosis {
  const judged = checks.map((check) => ({ check, verdict: check.judge(facts) }));
  const all = judged.flatMap(({ check, verdict }) =>
    verdict.found.map((found) => ({
      finding: findingOf(check, found),
      kind: check.kinds[found.code],
    })),
  );
  const consequences: Consequence[] = [];
  const findings: Finding[] = [];
  for (const { finding, kind } of all) {
    const cause = causeOf(
      finding,
      kind,
      all.map((one) => one.finding),
    );
    if (cause === undefined) findings.push(finding);
    else consequences.push({ ...finding, becauseOf: cause.code });
  }
  const causes = merged(findings);
  const rank = { error: 0, warning: 1, info: 2 };
  causes.sort((a, b) => rank[a.severity] - rank[b.severity]);
  return {
    checks: judged.map(({ check: { name, title }, verdict }) => ({
      name,
      title,
      state: stateOf(
        verdict,
        causes.concat(consequences).filter(({ check }) => check === name),
      ),
      seen: verdict.seen,
    })),
    findings: causes,
    consequences,
  };
}

/** One cause at several addresses is one finding. */
function merged(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding>();
  for (const finding of findings) {
    const id = [finding.code, finding.severity, finding.cause].join(" ");
    const first = groups.get(id);
    groups.set(id, first === undefined ? finding : both(first, finding));
  }
  return [...groups.values()];
}

function both(a: Finding, b: Finding): Finding {
  return {
    ...a,
    subjects: [...new Set([...a.subjects, ...b.subjects])],
    seen: `${a.seen}; ${b.seen}`,
    remedy: [...new Set([...a.remedy, ...b.remedy])],
  };
}

/** What `--json` prints; a doctor adds what is its own. */
export interface Report extends Diagnosis {
  readonly format: 1;
  /** Whether nothing needs attention: the exit code is 0, else 3. */
  readonly ok: boolean;
  readonly ms: number;
}

/** Whether somebody has to do something. */
export function needsAttention({ findings }: Diagnosis): boolean {
  return findings.some(({ severity }) => severity !== "info");
}

function findingOf({ name, kinds }: Pick<Check<never>, "name" | "kinds">, found: Found): Finding {
  const kind = kinds[found.code];
  if (kind === undefined) throw new Error(`the check ${name} has no kind ${found.code}`);
  const { title, advice, where } = kind;
  const { code, subjects = [], seen, cause, certainty, remedy = [] } = found;
  const severity = found.severity ?? kind.severity;
  return {
    code,
    check: name,
    title,
    severity,
    advice,
    where,
    subjects,
    seen,
    cause,
    certainty,
    remedy,
  };
}

/** What explains it; where it is about several addresses, all of them must be explained. */
function causeOf(
  finding: Finding,
  kind: FindingKind | undefined,
  all: readonly Finding[],
): Finding | undefined {
  const causes = all.filter((other) => explains(other, finding, kind));
  if (finding.subjects.length === 0 || causes.some(({ subjects }) => subjects.length === 0)) {
    return causes[0];
  }
  const explained = causes.flatMap(({ subjects }) => subjects);
  return finding.subjects.every((one) => explained.includes(one)) ? causes[0] : undefined;
}

function explains(cause: Finding, finding: Finding, kind: FindingKind | undefined): boolean {
  if (cause === finding || kind?.because?.includes(cause.code) !== true) return false;
  // What needs no attention hides nothing that does.
  if (cause.severity === "info" && finding.severity !== "info") return false;
  return cause.certainty !== "possible" || finding.certainty === "possible";
}

function stateOf(verdict: Verdict, findings: readonly Finding[]): CheckReport["state"] {
  if (verdict.skipped === true) return "skipped";
  if (findings.length === 0) return "ok";
  return findings.some(({ severity }) => severity !== "info") ? "attention" : "note";
}
