/**
 * What `frontdesk import` leaves out, for people: counted and named, by the reason.
 *
 * What was meant to be left out (passwords, what is masked) is not told here.
 */

import type { Ip } from "../model/address.ts";
import type { WithholdReason } from "../model/binding.ts";
import type { Change } from "../model/change.ts";
import { counted } from "../model/count.ts";
import { type Condition, type ConditionCode, SUBJECTS_MAX } from "../observe/conditions.ts";

/** An address that the file cannot hold, and why, as the end of a phrase. */
export interface Unwritten {
  readonly address: Ip;
  readonly why: string;
}

/** Of more addresses the rest is counted only. A stale databag has thousands. */
const NAMED_MAX = 20;

/** What follows "left out 2 addresses". */
const REASONS: Partial<Readonly<Record<WithholdReason, string>>> = {
  "no-lease": "without a lease",
  "lease-removed": "whose lease is removed",
  "awaiting-metadata": "whose metadata has not come",
  conflict: "that more than one instance claims",
};

/** The lines to print, without the program's name. */
export function leftOut(
  changes: readonly Change[],
  unwritten: readonly Unwritten[],
  conditions: readonly Condition[],
): string[] {
  return [
    ...ofAddresses([
      ...changes.flatMap((change): Unwritten[] => {
        if (change.kind !== "withhold") return [];
        const { address, reason } = change.withheld;
        return [{ address, why: REASONS[reason] ?? `that nothing is answered at (${reason})` }];
      }),
      ...unwritten,
    ]),
    ...ofConditions(conditions),
  ];
}

function ofAddresses(all: readonly Unwritten[]): string[] {
  return groups(all, ({ why }) => why).map(([why, group]) => {
    const names = group.map(({ address }) => address);
    return `left out ${addresses(names.length)} ${why}: ${list(names)}`;
  });
}

function ofConditions(conditions: readonly Condition[]): string[] {
  return groups(conditions, kindOf).flatMap(([kind, group]) => {
    const details = group.map(({ subject, detail }) => ({ subject, detail }));
    const names = list(group.map(({ subject }) => subject));
    const count = addresses(group.length);
    switch (kind) {
      case "ENTRY": {
        const entries = counted(group.length, "flawed entry", "flawed entries");
        const more = conditions.length >= SUBJECTS_MAX ? " or more" : "";
        return [`left out ${entries}${more}:`, ...details.map(({ detail }) => `  ${detail}`)];
      }
      case "ADDRESS_OUTSIDE":
        return [`left out ${count} outside every network's range: ${names}`];
      case "KEY_REFUSED": {
        const keys = details.map(({ subject, detail }) => `  ${subject}: ${detail}`);
        return [`left out keys of ${count}, whose names are not served:`, ...keys];
      }
      case "USER_DATA_INVALID":
        return [`left out the user data of ${count}, because it is not base64: ${names}`];
      default:
        return group.map(({ code, subject, title, detail }) => {
          return `${code} ${subject}: ${detail === "" ? title : detail}`;
        });
    }
  });
}

/** `ENTRY` for an entry of a databag; else the condition's code. */
function kindOf({ code, subject }: Condition): ConditionCode | "ENTRY" {
  return code === "SOURCE_MALFORMED" && /^\S+\.json ./.test(subject) ? "ENTRY" : code;
}

/** In the order in which the first of each group comes. */
function groups<T, K>(all: readonly T[], keyOf: (one: T) => K): [key: K, group: T[]][] {
  const found = new Map<K, T[]>();
  for (const one of all) {
    const group = found.get(keyOf(one));
    if (group === undefined) found.set(keyOf(one), [one]);
    else group.push(one);
  }
  return [...found];
}

function addresses(count: number): string {
  return counted(count, "address", "addresses");
}

function list(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
