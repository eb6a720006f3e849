/**
 * What was found wrong while a cloud was read: each thing once, with how often and of whom.
 *
 * A finding holds names of commands, fields, keys and instances; never a value, never a secret.
 */

import { counted } from "../../model/count.ts";
import { NAMED_MAX, SUBJECT_CHARS_MAX } from "./limits.ts";

/** What a finding is about, and what is served meanwhile. */
const FINDINGS = {
  "address-conflict": "instances claim one address of one network; none of them has it",
  "address-invalid": "an address or a MAC address cannot be a guest's; it is left out",
  "field-missing": "the API's answer lacks a field",
  "key-refused": "a metadata key has a name or a size that is not served; it is left out",
  "keys-hidden": "the API names an SSH key, and does not show it; public-keys is empty",
  "instance-unusable": "an instance cannot be kept as the API describes it; its last record stays",
  "list-unsettled": "a list changed whenever it was read; nothing is taken for gone by it",
  "network-unusable": "a network cannot be kept as the API describes it; it stays as it was",
  "networks-left-out": "more are there than are kept; those without instances are left out first",
  "network-unknown": "the API does not list a network that instances have NICs in",
  "not-permitted": "the API keys may not use a command",
  "offering-unknown": "the API does not list an offering; its name is served for its text",
  "scopes-left-out": "more are there than are asked for their own; the others count as by default",
  "user-data-invalid": "user data is not base64; none is served",
  "user-data-too-large": "user data is larger than CloudStack accepts; none is served",
} as const satisfies Readonly<Record<string, string>>;

export type FindingKind = keyof typeof FINDINGS;

export interface Finding {
  readonly kind: FindingKind;
  /** The command, the field or the network that it is about. */
  readonly place: string;
  /** The metadata keys that suffer. */
  readonly keys: readonly string[];
  readonly count: number;
  /** One sentence for people. */
  readonly text: string;
}

interface Held {
  readonly kind: FindingKind;
  readonly place: string;
  readonly keys: readonly string[];
  readonly subjects: Set<string>;
  /** How often it was said of nobody in particular. */
  unnamed: number;
}

export class Findings {
  readonly #held = new Map<string, Held>();

  /** @param subject whom it is about, an instance's id mostly; the first few are named. */
  add(kind: FindingKind, place: string, keys: readonly string[] = [], subject?: string): void {
    const name = `${kind} ${place}`;
    const held = this.#held.get(name) ?? { kind, place, keys, subjects: new Set(), unnamed: 0 };
    this.#held.set(name, held);
    if (subject === undefined) held.unnamed++;
    else held.subjects.add(subject.slice(0, SUBJECT_CHARS_MAX));
  }

  list(): Finding[] {
    return [...this.#held.values()].map((held) => {
      const { kind, place, keys, subjects, unnamed } = held;
      return { kind, place, keys, count: subjects.size + unnamed, text: textOf(held) };
    });
  }
}

/** An instance without a field that is needed has no record made of it. */
const OF_INSTANCES = "listVirtualMachines.";
const LEFT_OUT = "; these are left out, or stay as they were known";

function textOf({ kind, place, keys, subjects }: Held): string {
  const named = [...subjects].slice(0, NAMED_MAX).join(", ");
  const more = subjects.size > NAMED_MAX ? ", …" : "";
  const who = subjects.size === 0 ? "" : ` (${counted(subjects.size, "case")}: ${named}${more})`;
  const suffer = keys.length === 0 ? "" : `; it is needed for ${keys.join(", ")}`;
  const isLeftOut = kind === "field-missing" && place.startsWith(OF_INSTANCES);
  return `${place}: ${FINDINGS[kind]}${who}${suffer}${isLeftOut ? LEFT_OUT : ""}`;
}
