/** What the router itself says is wrong: its live conditions, as they are in their table. */

import { counted } from "../../../model/count.ts";
import { CONDITIONS, type Condition, type ConditionCode } from "../../../observe/conditions.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { FindingKind, Found } from "../../../observe/doctor/finding.ts";
import type { Check } from "../check.ts";

type Code = ConditionCode | "CONDITION_UNKNOWN";

/** Findings of ours that say why a condition holds. */
const BECAUSE: Partial<Readonly<Record<ConditionCode, readonly string[]>>> = {
  SOURCE_UNREADABLE: ["SOURCE_ABSENT", "SOURCE_FILE_ABSENT", "SOURCE_FILE_UNREADABLE"],
  SOURCE_MALFORMED: ["SOURCE_FILE_DAMAGED"],
  LEASES_ABSENT: ["SOURCE_ABSENT", "SOURCE_FILE_ABSENT", "SOURCE_FILE_UNREADABLE"],
  LISTEN_FAILED: ["PORT_HELD", "APACHE_RUNS", "ROUTERS_TWICE"],
  STATE_UNWRITABLE: ["STATE_FULL", "STATE_READ_ONLY", "STATE_FORBIDDEN"],
};

const KINDS = Object.fromEntries(
  Object.entries(CONDITIONS).map(([code, kind]) => {
    const because = BECAUSE[code as ConditionCode];
    return [code, because === undefined ? kind : { ...kind, because }];
  }),
) as Record<ConditionCode, FindingKind>;

/** So many subjects are named; a hundred would say no more. */
const NAMED_MAX = 3;

export const conditions: Check<Code> = {
  name: "conditions",
  title: "the router itself says that nothing is wrong",
  kinds: {
    ...KINDS,
    CONDITION_UNKNOWN: {
      title: "the router has a condition that this program does not know",
      severity: "warning",
      advice: "use the same release of frontdesk as the router does",
      where: "router",
    },
  },
  judge({ admin }) {
    if (admin.kind !== "answers") return skipped("no router answers");
    const all = admin.conditions;
    if (all.length === 0) return fine("none holds");
    const codes = [...new Set(all.map(({ code }) => code))];
    const found = codes.flatMap((code) => findingsOf(all.filter((one) => one.code === code)));
    return { seen: `${counted(all.length, "condition")}: ${codes.join(", ")}`, found };
  },
};

/** One finding for a code; one for each subject where another finding may explain just that one. */
function findingsOf(held: readonly Condition[]): readonly Found<Code>[] {
  const [first] = held;
  if (first === undefined) return [];
  if (!Object.hasOwn(CONDITIONS, first.code)) {
    return [findingOf(held, "CONDITION_UNKNOWN", String(first.code))];
  }
  const groups = BECAUSE[first.code] === undefined ? [held] : held.map((one) => [one]);
  return groups.map((group) => findingOf(group, first.code, CONDITIONS[first.code].title));
}

function findingOf(held: readonly Condition[], code: Code, cause: string): Found<Code> {
  const named = held.slice(0, NAMED_MAX).map(({ subject, detail, since }) => {
    const what = detail === "" ? subject : `${subject}: ${detail}`;
    return `${what} (since ${new Date(since).toISOString()})`;
  });
  const more = held.length - named.length;
  return {
    code,
    subjects: held.map(({ subject }) => subject),
    seen: named.join("; ") + (more > 0 ? `; and ${more} more` : ""),
    cause,
    certainty: "certain",
  };
}
