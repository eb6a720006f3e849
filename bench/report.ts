/**
 * The figures of a run as Markdown: medians over the rounds, the promises that they must keep.
 */

import type { ApplyFigures } from "./numbers/apply.ts";
import type { BesideFigures } from "./numbers/beside.ts";
import type { ChangeFigures, Waits } from "./numbers/change.ts";
import type { GuestFigures } from "./numbers/guest.ts";
import type { IdentityFigures } from "./numbers/identity.ts";
import type { ReconcileFigures } from "./numbers/reconcile.ts";
import type { RequestFigures } from "./numbers/requests.ts";
import type { StormFigures } from "./numbers/storm.ts";
import type { Memory } from "./process.ts";
import { count, digits, median, table, worst } from "./stats.ts";

/** One round of one server. */
export interface Round {
  readonly startMs: number;
  /** The second start, with what the first one has kept. */
  readonly restartMs?: number;
  readonly idle: Memory;
  readonly after: Memory;
  readonly requests?: RequestFigures;
  readonly waves?: StormFigures;
  readonly atOnce?: StormFigures;
}

export interface ServerResult {
  readonly name: string;
  readonly title: string;
  readonly rounds: readonly Round[];
}

/** One way of bringing a change to a guest. */
export interface ChangeResult {
  /** `databag-bun`, `apply-node`, `rewrite` … */
  readonly name: string;
  readonly title: string;
  readonly figures: readonly (ChangeFigures | ApplyFigures)[];
}

export interface Results {
  readonly servers: readonly ServerResult[];
  readonly changes: readonly ChangeResult[];
  readonly guest: GuestFigures | undefined;
  readonly identity: IdentityFigures | undefined;
  readonly reconcile: ReconcileFigures | undefined;
  readonly beside: BesideFigures | undefined;
  /** Sizes of the tables of changes. */
  readonly sizes: readonly number[];
}

function each(rounds: readonly Round[], pick: (round: Round) => number | undefined): number[] {
  return rounds.map(pick).filter((value) => value !== undefined);
}

export function middle(
  server: ServerResult | undefined,
  pick: (round: Round) => number | undefined,
): number | undefined {
  return median(each(server?.rounds ?? [], pick));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Empty when they were not measured. */
export function guestTable({ guest }: Results): string {
  if (guest === undefined) return "";
  const rows = [
    ["`node -e 0`", digits(guest.nothingMs), ""],
    ["`get`, from a service", digits(guest.nothingMs + guest.getMs), digits(guest.getMs)],
    ["`get --cached`", digits(guest.nothingMs + guest.cachedMs), digits(guest.cachedMs)],
  ];
  return `dist/frontdesk-guest.mjs: ${count(guest.bytes)} bytes\n\n${table(
    ["CPU of one run, ms", "all", "above nothing"],
    rows,
  )}`;
}

/** Empty when they were not measured. */
export function identityTable({ identity }: Results): string {
  if (identity === undefined) return "";
  const { directoryNs, identityNs, addedNs, neighbours } = identity;
  const header = [
    `who asks, of ${count(neighbours)} neighbours: CPU of a look-up, ns`,
    "",
    "added",
  ];
  return table(header, [
    ["the directory alone", digits(directoryNs), ""],
    ["with MAC evidence", digits(identityNs), digits(addedNs)],
  ]);
}

/** Empty when it was not measured. */
export function reconcileTable({ reconcile }: Results): string {
  if (reconcile === undefined) return "";
  const { first, again, written, rssMiB, largeRssMiB, instances } = reconcile;
  const header = [`a look at ${count(instances)} instances`, "s", "CPU, s", "records", "RSS, MiB"];
  const large = "the same, with 4 KiB of user data";
  const seconds = (ms: number): string => digits(ms / 1000);
  return table(header, [
    ["the first", seconds(first.ms), seconds(first.cpuMs), count(instances), ""],
    ["with ten changes", seconds(again.ms), seconds(again.cpuMs), count(written), digits(rssMiB)],
    [large, "", "", "", digits(largeRssMiB)],
  ]);
}

/** Empty when it was not measured. */
export function besideTable({ beside }: Results): string {
  if (beside === undefined) return "";
  const { kinds, perSecond, instances } = beside;
  const header = [
    `${count(instances)} instances, ${perSecond} guests a second: a look that finds`,
    "windows",
    "s",
    "CPU of the controller, s",
    "of the router: quiet, look, s",
    "p50, ms: quiet, look",
    "p99, ms: quiet, look",
    "p99, ×",
    "limit, ×",
    "longest, ms: quiet, look",
    "errors",
  ];
  const rows = kinds.map(({ name, windows, quiet, look, ratio, limit, lookMs, errors }) => [
    name,
    ...[count(windows), digits(lookMs / 1000), digits(look.controllerMs / 1000)],
    `${digits(quiet.routerMs / 1000)}, ${digits(look.routerMs / 1000)}`,
    `${digits(quiet.p50Ms)}, ${digits(look.p50Ms)}`,
    `${digits(quiet.p99Ms)}, ${digits(look.p99Ms)}`,
    ...[digits(ratio), digits(limit)],
    `${digits(quiet.maxMs)}, ${digits(look.maxMs)}`,
    count(errors),
  ]);
  return table(header, rows);
}

export function requestTable({ servers }: Results): string {
  const nginx = servers.find(({ name }) => name === "nginx");
  const base = middle(nginx, (round) => round.requests?.closeUs);
  const rows = servers.map((server) => {
    const at = (pick: (figures: RequestFigures) => number): string =>
      digits(middle(server, ({ requests }) => requests && pick(requests)));
    const close = middle(server, (round) => round.requests?.closeUs);
    const ratio = close !== undefined && base ? ` (${digits(close / base)})` : "";
    return [
      server.title,
      `${digits(close)}${ratio}`,
      at((figures) => figures.guestUs),
      at((figures) => figures.keepUs),
      at((figures) => figures.largeUs),
      `${at((figures) => figures.crowdP50Ms)} / ${at((figures) => figures.crowdP99Ms)}`,
      count(sum(each(server.rounds, ({ requests }) => requests?.errors))),
    ];
  });
  const header = [
    "server CPU µs per request",
    "connection each (÷ nginx)",
    "guest closes",
    "keep-alive",
    "16 KiB body",
    "500 connections p50 / p99 ms",
    "errors",
  ];
  return table(header, rows);
}

export function stormTable({ servers }: Results): string {
  const cells = (server: ServerResult, pick: (round: Round) => StormFigures | undefined) => [
    count(sum(each(server.rounds, (round) => pick(round)?.errors))),
    digits(middle(server, (round) => pick(round)?.p50Ms)),
    digits(middle(server, (round) => pick(round)?.p99Ms)),
    digits(worst(each(server.rounds, (round) => pick(round)?.maxMs))),
  ];
  const rows = servers.map((server) => [
    server.title,
    ...cells(server, ({ waves }) => waves),
    ...cells(server, ({ atOnce }) => atOnce),
  ]);
  const columns = ["errors", "p50 ms", "p99 ms", "longest ms"];
  return table(
    [
      "1,000 guests × 16 requests",
      ...columns.map((column) => `10 s: ${column}`),
      ...columns.map((column) => `at once: ${column}`),
    ],
    rows,
  );
}

export function sizeTable({ servers }: Results): string {
  const memory = (server: ServerResult, pick: (round: Round) => Memory): string => {
    const rss = middle(server, (round) => pick(round).rssMiB);
    return `${digits(rss)} / ${digits(middle(server, (round) => pick(round).pssMiB))}`;
  };
  const rows = servers.map((server) => [
    server.title,
    memory(server, ({ idle }) => idle),
    memory(server, ({ after }) => after),
    digits(middle(server, ({ startMs }) => startMs)),
    digits(middle(server, ({ restartMs }) => restartMs)),
  ]);
  return table(
    [
      "10,000 instances",
      "idle RSS / PSS MiB",
      "after load RSS / PSS MiB",
      "start → first answer ms",
      "start again ms",
    ],
    rows,
  );
}

/** The figures of one size, over all its rounds. */
export function atSize(
  change: ChangeResult | undefined,
  instances: number,
): ChangeResult["figures"] {
  return (change?.figures ?? []).filter((figures) => figures.instances === instances);
}

export function changeTables({ changes, sizes }: Results): string {
  const header = ["", ...sizes.map((size) => `${count(size)} instances`)];
  const rows = (cell: (figures: ChangeResult["figures"]) => string): string[][] =>
    changes.map((change) => [
      change.title,
      ...sizes.map((size) => {
        const figures = atSize(change, size);
        return figures.length === 0 ? "–" : cell(figures);
      }),
    ]);
  const visible = rows((figures) => {
    const values = figures.flatMap(({ visibleMs }) => visibleMs);
    return `${digits(median(values))} (${digits(worst(values))})`;
  });
  const waits = (pick: (figures: ChangeFigures) => Waits | undefined): string[][] =>
    rows((figures) => {
      const seen = figures.map(pick).filter((value) => value !== undefined);
      if (seen.length === 0) return "–";
      const longest = seen.map(({ longestMs }) => longestMs);
      const control = digits(median(seen.map(({ controlMs }) => controlMs)));
      return `${digits(median(longest))} (${digits(worst(longest))}), limit ${control}`;
    });
  const wholes = rows((figures) => digits(median(figures.flatMap(wholeMs))));
  return [
    "Change → new answer, ms: median (worst)\n\n",
    table(header, visible),
    "\nLongest wait of another guest meanwhile, ms: median of the rounds (worst), limit\n\n",
    table(
      header,
      waits(({ meanwhile }) => meanwhile),
    ),
    "\nLongest wait of another guest in the 35 s after, ms: one round, limit\n\n",
    table(
      header,
      waits(({ after }) => after),
    ),
    "\nThe writer or the command by itself, ms: median\n\n",
    table(header, wholes),
  ].join("");
}

/** How long the change itself took: the writing of files, or the whole command. */
function wholeMs(figures: ChangeFigures | ApplyFigures): readonly number[] {
  return "commandMs" in figures ? figures.commandMs : figures.writeMs;
}
