/**
 * How much of a cloud one look may keep: each answer is bounded, and their number is no bound at
 * all where a server says how many there are.
 */

import { CloudStackError } from "../../model/errors.ts";
import { LOOK_BYTES_MAX } from "./limits.ts";

/** There is too much of it in all: smaller pages would not help. */
export class CloudTooLarge extends CloudStackError {
  constructor(command: string, what: string) {
    super("CLOUDSTACK_TOO_LARGE", `${command}: ${what}`);
  }
}

export class Budget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number = LOOK_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /**
   * @param instead what is kept no longer, because this is
   * @throws {CloudStackError} if it is too much in all.
   */
  keep(command: string, item: unknown, instead?: unknown): void {
    this.#bytes += weightOf(item) - weightOf(instead);
    if (this.#bytes <= this.#bytesMax) return;
    throw new CloudTooLarge(command, `all that is read is more than ${this.#bytesMax} bytes`);
  }
}

/** Of what a table has read, which is flat: texts, bytes and NICs. Rough. Bytes. */
function weightOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  if (value instanceof Uint8Array) return value.length;
  let bytes = OBJECT_BYTES;
  for (const name in value) bytes += weightOf((value as Readonly<Record<string, unknown>>)[name]);
  return bytes;
}

/** An object of some twenty fields. */
const OBJECT_BYTES = 200;
