/**
 * Reports the entries of a databag that cannot be understood, each with its line, for as long as
 * they are there. The rest of the databag is as it would be without them.
 */

import { tryParseIp } from "../../model/address.ts";
import { quote } from "../../model/errors.ts";
import type { Conditions } from "../../observe/conditions.ts";
import type { Slices } from "../slices.ts";
import type { BagChange } from "./bag.ts";
import type { BagFile } from "./bag-file.ts";

/** Lines are counted for so many; nobody reads more. */
const LINES_MAX = 100;

export class EntryReports<T> {
  readonly #file: BagFile<T>;
  readonly #flawOf: (data: T) => string | undefined;
  readonly #conditions: Conditions;
  readonly #reported = new Set<string>();

  /** @param flawOf why an entry is none, as the end of a sentence; `undefined` if it is one */
  constructor(file: BagFile<T>, flawOf: (data: T) => string | undefined, conditions: Conditions) {
    this.#file = file;
    this.#flawOf = flawOf;
    this.#conditions = conditions;
  }

  /** To be called with the changes that were just put in force. */
  async update(changes: readonly BagChange<T>[], slices: Slices): Promise<void> {
    const flaws = new Map<string, string>();
    for (const { key, after } of changes) {
      const flaw = after === undefined ? undefined : this.#flawOf(after.data);
      if (flaw !== undefined) flaws.set(key, flaw);
      else if (this.#reported.delete(key)) {
        this.#conditions.clear("SOURCE_MALFORMED", this.#subject(key));
      }
    }
    if (flaws.size === 0) return;
    const lines = await this.#file.lines([...flaws.keys()].slice(0, LINES_MAX), slices);
    for (const [key, flaw] of flaws) {
      const line = lines.get(key);
      const place = `${this.#file.path}${line === undefined ? "" : `:${line}`}`;
      this.#reported.add(key);
      const detail = `${place}: ${nameOf(key)} ${flaw}`;
      this.#conditions.raise("SOURCE_MALFORMED", this.#subject(key), detail);
    }
  }

  #subject(key: string): string {
    return `${this.#file.name} ${nameOf(key)}`;
  }
}

/** An address as it is; another name quoted and bounded. */
function nameOf(key: string): string {
  return tryParseIp(key) === undefined ? quote(key) : key;
}
