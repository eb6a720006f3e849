/**
 * What a check is: pure judgement of facts that were gathered before, so that checks depend on
 * nothing but what they are shown, and each can be tried on facts made by hand.
 */

import type { FindingKind, Found } from "./finding.ts";

export interface Verdict<Code extends string = string> {
  /** What was looked at and how it is, a few words. */
  readonly seen: string;
  /** Whether it could not be looked at; then `seen` says why. */
  readonly skipped?: true;
  readonly found: readonly Found<Code>[];
}

/** One check of a doctor that knows `Facts`. */
export interface Check<Facts, Code extends string = string> {
  readonly name: string;
  readonly title: string;
  /** Everything that it can find. */
  readonly kinds: Readonly<Record<Code, FindingKind>>;
  judge(facts: Facts): Verdict<Code>;
}

export function skipped(seen: string): Verdict<never> {
  return { seen, skipped: true, found: [] };
}

export function fine(seen: string): Verdict<never> {
  return { seen, found: [] };
}
