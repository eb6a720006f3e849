/**
 * What a check may find: its kind, which is the shape of the conditions' table, and one instance.
 *
 * A finding names what was seen apart from what is concluded from it, and how sure that is:
 * `certain` only where the cause itself was read, never where it was inferred.
 */

import type { ConditionKind, Severity } from "../conditions.ts";

export type Certainty =
  /** The cause was read: a rule, a route, a setting. */
  | "certain"
  /** One cause explains what was seen better than others that are known. */
  | "likely"
  /** There are several causes for what was seen. */
  | "possible";

export interface FindingKind extends ConditionKind {
  /**
   * Codes that explain this one where they are about the same address: then this is a consequence,
   * and not reported as a cause of its own.
   */
  readonly because?: readonly string[];
}

/** What a check says; the rest comes from its kind. */
export interface Found<Code extends string = string> {
  readonly code: Code;
  /** Addresses or names that it is about; none: this machine as a whole. */
  readonly subjects?: readonly string[];
  readonly seen: string;
  readonly cause: string;
  readonly certainty: Certainty;
  /** Commands that mend it, run as root at `where`, in order; none where no command does. */
  readonly remedy?: readonly string[];
  /** Where this one differs from its kind. */
  readonly severity?: Severity;
}

export interface Finding extends ConditionKind {
  readonly code: string;
  /** The check that found it. */
  readonly check: string;
  readonly subjects: readonly string[];
  readonly seen: string;
  readonly cause: string;
  readonly certainty: Certainty;
  readonly remedy: readonly string[];
}

/** A finding that follows from another one. */
export interface Consequence extends Finding {
  /** The code of its cause. */
  readonly becauseOf: string;
}
