/**
 * What a command is: its parameters, and what it does. Each kind says what its answer is.
 */

import type { Fields } from "../../source/cloudstack/answer.ts";
import type { Method } from "../user-data.ts";
import type { Lab } from "./lab.ts";
import type { Schema, Values } from "./params.ts";

export interface Call {
  readonly lab: Lab;
  readonly method: Method;
  /** Whether an API key is one that may ask. */
  readonly isKey: (apiKey: string) => boolean;
}

/** What is done after the answer. */
export interface Task {
  /** The instance that it is about, where the answer names it. */
  readonly id?: string;
  readonly instance: string;
  readonly work: () => Promise<Fields>;
}

/** A command with its parameters' types, as its file writes it. */
export type Definition<S extends Schema> = {
  readonly params: S;
  /** What its answer stands under, where that is not made from the command's own name. */
  readonly answerName?: string;
} & (
  | { readonly kind: "read" | "change"; answer(values: Values<S>, call: Call): Promise<Fields> }
  /** `begin` refuses what cannot be done at all; whatever fails later is the job's failure. */
  | { readonly kind: "job"; begin(values: Values<S>, call: Call): Promise<Task> }
);

/** A command as the table has it: whatever its parameters are. */
export type Command = Definition<Schema>;

export function define<const S extends Schema>(definition: Definition<S>): Command {
  // The values are made from the definition's own schema, so they are of its type.
  return definition as unknown as Command;
}
