/**
 * What goes wrong while a source is looked at, as conditions: each error and each finding has its
 * line here. What is no longer so is cleared by the next look.
 */

import { CloudStackError, MetadataError, SourceError, StoreError } from "../model/errors.ts";
import { addressesOf, type InstanceRecord } from "../model/record.ts";
import type { ConditionCode, Conditions } from "../observe/conditions.ts";
import type { Finding, FindingKind } from "../source/cloudstack/findings.ts";

const OF_FINDINGS: Readonly<Record<FindingKind, ConditionCode>> = {
  "address-conflict": "ADDRESS_CONFLICT",
  "address-invalid": "ADDRESS_INVALID",
  "field-missing": "CLOUDSTACK_INCOMPLETE",
  "key-refused": "KEY_REFUSED",
  "keys-hidden": "CLOUDSTACK_INCOMPLETE",
  "instance-unusable": "INSTANCE_UNUSABLE",
  "list-unsettled": "CLOUDSTACK_UNSETTLED",
  "network-unusable": "NETWORK_UNUSABLE",
  "networks-left-out": "NETWORK_UNUSABLE",
  "network-unknown": "CLOUDSTACK_INCOMPLETE",
  "not-permitted": "CLOUDSTACK_NOT_PERMITTED",
  "offering-unknown": "CLOUDSTACK_INCOMPLETE",
  "scopes-left-out": "CLOUDSTACK_INCOMPLETE",
  "user-data-invalid": "USER_DATA_INVALID",
  "user-data-too-large": "USER_DATA_TOO_LARGE",
};

/** What is raised now for one reason; the next time it is said, the rest is cleared. */
class Held {
  readonly #conditions: Conditions;
  #raised = new Map<string, readonly [ConditionCode, string]>();

  constructor(conditions: Conditions) {
    this.#conditions = conditions;
  }

  be(now: readonly (readonly [ConditionCode, subject: string, detail: string])[]): void {
    const next = new Map<string, readonly [ConditionCode, string]>();
    for (const [code, subject, detail] of now) {
      this.#conditions.raise(code, subject, detail);
      next.set(`${code} ${subject}`, [code, subject]);
    }
    for (const [name, [code, subject]] of this.#raised) {
      if (!next.has(name)) this.#conditions.clear(code, subject);
    }
    this.#raised = next;
  }
}

export class Troubles {
  /** The source, as messages name it. */
  readonly #subject: string;
  readonly #errors: Held;
  readonly #findings: Held;
  readonly #shrank: Held;
  readonly #taken: Held;
  readonly #overdue: Held;

  constructor(conditions: Conditions, subject: string) {
    this.#subject = subject;
    this.#errors = new Held(conditions);
    this.#findings = new Held(conditions);
    this.#shrank = new Held(conditions);
    this.#taken = new Held(conditions);
    this.#overdue = new Held(conditions);
  }

  /** @param error why the last look failed; `undefined` if it did not */
  failed(error: unknown): void {
    if (error === undefined) {
      this.#errors.be([]);
      return;
    }
    this.#errors.be([[codeOf(error), this.#subject, detailOf(error)]]);
  }

  /** @param detail how long nothing was seen whole; `undefined` if it was by now */
  overdue(detail: string | undefined): void {
    this.#overdue.be(detail === undefined ? [] : [["LOOK_OVERDUE", this.#subject, detail]]);
  }

  found(findings: readonly Finding[]): void {
    this.#findings.be(
      findings.map(({ kind, place, text }) => [OF_FINDINGS[kind], `${kind} ${place}`, text]),
    );
  }

  /** @param doubted instances that are kept although they are not listed */
  shrank(doubted: number): void {
    const detail = doubted === 1 ? "1 instance is kept" : `${doubted} instances are kept`;
    this.#shrank.be(doubted === 0 ? [] : [["INSTANCES_VANISHED", this.#subject, detail]]);
  }

  /** @param records that are not written, because another one has an address of theirs */
  taken(records: readonly InstanceRecord[]): void {
    const addresses = records.flatMap(addressesOf);
    this.#taken.be(
      addresses.map((address) => ["ADDRESS_CONFLICT", address, "another record keeps it"]),
    );
  }
}

function codeOf(error: unknown): ConditionCode {
  if (error instanceof CloudStackError || error instanceof SourceError) return error.code;
  return error instanceof StoreError ? "STORE_UNWRITABLE" : "RECONCILE_FAILED";
}

/** A message of ours has no secret in it; of another only the kind is told. */
function detailOf(error: unknown): string {
  if (error instanceof MetadataError) return error.message;
  return error instanceof Error ? error.name : "no reason given";
}
