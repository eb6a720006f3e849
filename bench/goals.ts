/**
 * The promises that the figures must keep, each beside what this run has measured.
 *
 * Nothing fails when one is missed: time on a busy machine proves little. People judge.
 */

import type { ApplyFigures } from "./numbers/apply.ts";
import { atSize, middle, type Results } from "./report.ts";
import { digits, median, table, worst } from "./stats.ts";

interface Goal {
  readonly promise: string;
  readonly measured: number | undefined;
  readonly most: number;
  readonly unit: string;
  /** What the C responder had at the same time, where that says how far to believe the figure. */
  readonly limit?: number | undefined;
}

function requestGoals({ servers }: Results): Goal[] {
  const cpu = (name: string): number | undefined =>
    middle(
      servers.find((server) => server.name === name),
      (round) => round.requests?.closeUs,
    );
  const ratio = (name: string, other: string): number | undefined => {
    const [a, b] = [cpu(name), cpu(other)];
    return a === undefined || b === undefined ? undefined : a / b;
  };
  return [
    ["CPU of a request, Bun ÷ nginx", ratio("bun", "nginx"), 1.3] as const,
    ["CPU of a request, Bun ÷ Apache", ratio("bun", "apache"), 0.25] as const,
    ["CPU of a request, Node.js ÷ Apache", ratio("node", "apache"), 0.8] as const,
  ].map(([promise, measured, most]) => ({ promise, measured, most, unit: "×" }));
}

function sizeGoals({ servers }: Results): Goal[] {
  const bun = servers.find(({ name }) => name === "bun");
  const errors = bun?.rounds
    .map(({ waves }) => waves?.errors)
    .filter((value) => value !== undefined);
  const lines = [
    ["storm, errors", worst(errors ?? []), 0, ""],
    ["storm, p99", middle(bun, ({ waves }) => waves?.p99Ms), 100, "ms"],
    ["RSS after a storm, 10,000 instances", middle(bun, ({ after }) => after.rssMiB), 100, "MiB"],
    ["start → first answer, 10,000 instances", middle(bun, (round) => round.startMs), 150, "ms"],
  ] satisfies Line[];
  return lines.map(goal);
}

function changeGoals({ changes }: Results): Goal[] {
  const named = (name: string) => changes.find((change) => change.name === name);
  const visible = (name: string, size: number): number | undefined =>
    median(atSize(named(name), size).flatMap(({ visibleMs }) => visibleMs));
  const waits = (size: number): [number | undefined, number | undefined] => {
    const seen = atSize(named("databag-bun"), size).map(({ meanwhile }) => meanwhile);
    return [
      median(seen.map(({ longestMs }) => longestMs)),
      median(seen.map(({ controlMs }) => controlMs)),
    ];
  };
  const [small, smallLimit] = waits(2_000);
  const [large, largeLimit] = waits(10_000);
  const after = atSize(named("databag-bun"), 10_000).find((figures) => figures.after)?.after;
  const late = atSize(named("apply-bun"), 100_000).map((figures) => (figures as ApplyFigures).late);
  const lines = [
    ["databag → new answer, 2,000", visible("databag-bun", 2_000), 50, "ms"],
    ["databag → new answer, 10,000", visible("databag-bun", 10_000), 150, "ms"],
    ["another guest meanwhile, 2,000", small, 20, "ms", smallLimit],
    ["another guest meanwhile, 10,000", large, 20, "ms", largeLimit],
    ["another guest afterwards, 10,000", after?.longestMs, 20, "ms", after?.controlMs],
    ["apply → new answer, 100,000", visible("apply-bun", 100_000), 20, "ms"],
    ["store → new answer, 10,000", visible("store-bun", 10_000), 20, "ms"],
    ["store → new answer, 100,000", visible("store-bun", 100_000), 20, "ms"],
    ["apply that returned too early", worst(late), 0, ""],
  ] satisfies Line[];
  return lines.map(goal);
}

function guestGoals({ guest }: Results): Goal[] {
  if (guest === undefined) return [];
  const lines = [
    ["the guest's small file", guest.bytes / 1000, 150, "KB"],
    ["a guest's get, above node -e 0", guest.getMs, 25, "ms"],
  ] satisfies Line[];
  return lines.map(goal);
}

function identityGoals({ identity }: Results): Goal[] {
  if (identity === undefined) return [];
  const { addedNs } = identity;
  return [goal(["MAC evidence, CPU added to a request", addedNs / 1000, 1, "µs"])];
}

function reconcileGoals({ reconcile }: Results): Goal[] {
  if (reconcile === undefined) return [];
  const lines = [
    ["RSS of a controller, 10,000 instances", reconcile.rssMiB, 250, "MiB"],
    ["RSS of a controller, 4 KiB of user data each", reconcile.largeRssMiB, 250, "MiB"],
    ["records written for ten changes", reconcile.written, 10, ""],
  ] satisfies Line[];
  return lines.map(goal);
}

/** A promise for each kind of look; what the C responder had is its own ratio. */
function besideGoals({ beside }: Results): Goal[] {
  return (beside?.kinds ?? []).map(({ name, ratio, limit }) =>
    goal([`guest p99 beside a look, ${name}`, ratio, 2, "×", limit]),
  );
}

type Line = readonly [string, number | undefined, number, string, (number | undefined)?];

function goal([promise, measured, most, unit, limit]: Line): Goal {
  return { promise, measured, most, unit, limit };
}

export function goalTable(results: Results): string {
  const goals = [
    ...[...requestGoals(results), ...sizeGoals(results), ...changeGoals(results)],
    ...guestGoals(results),
    ...identityGoals(results),
    ...reconcileGoals(results),
    ...besideGoals(results),
  ];
  if (goals.every(({ measured }) => measured === undefined)) return "Frontdesk was not measured.\n";
  const rows = goals.map(({ promise, measured, most, unit, limit }) => [
    promise,
    `≤ ${most} ${unit}`.trim(),
    measured === undefined ? "not measured" : `${digits(measured)} ${unit}`.trim(),
    limit === undefined ? "" : `${digits(limit)} ${unit}`,
    measured === undefined ? "" : measured <= most ? "kept" : "missed",
  ]);
  return table(["promise", "must", "here", "limit", ""], rows);
}
