/**
 * The strings of a frame and its pairs of key and value, each there once where looking is worth it.
 *
 * Half of what an instance has is its own: addresses, ids, keys. To look each of them up in a map,
 * and to keep them there, would cost more than all else. So a value is compared with what is likely
 * to be the same: the one above it in its column, and the instance's own strings beside it.
 */

import { Words } from "./words.ts";

/** Columns are forgotten beyond this: tenants choose key names. */
const COLUMNS_MAX = 256;

/** So often in a row a column's value was new: it is taken for one that never repeats. */
const MISSES_MAX = 48;

/** With so many of the latest strings a value is compared: those of one instance. */
const OWN = 8;

/** One key name, and the pairs that it makes in this frame. */
export interface Column {
  readonly name: string;
  /** Where the name is in this frame; 0 where it is not yet. */
  nameAt: number;
  lastValue: string | null;
  lastPair: number;
  readonly pairs: Map<string | null, number>;
  /** How often in a row nothing was found, over all frames. */
  misses: number;
}

export class FrameStrings {
  /** Of each string, in order. */
  readonly lengths: Words = new Words();
  /** Name and value of each pair. */
  readonly pairs: Words = new Words();
  /** Characters of all strings. */
  textLength = 0;
  #strings: string[] = [];
  readonly #shared = new Map<string, number>();
  readonly #columns = new Map<string, Column>();
  /** The latest strings that are an instance's own, and their places. */
  readonly #own: string[] = new Array<string>(OWN).fill("");
  readonly #ownAt: number[] = new Array<number>(OWN).fill(0);
  #newest = 0;

  /** A string that many have. 0 for none. */
  shared(text: string | null | undefined): number {
    if (text === undefined || text === null) return 0;
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    const place = this.#add(text);
    this.#shared.set(text, place);
    return place;
  }

  /** A string that is one instance's own; its values are compared with it. 0 for none. */
  own(text: string | undefined): number {
    if (text === undefined) return 0;
    const place = this.#add(text);
    this.#remember(text, place);
    return place;
  }

  column(name: string): Column {
    let column = this.#columns.get(name);
    if (column === undefined) {
      const unused = { nameAt: 0, lastValue: null, lastPair: 0, misses: 0 };
      column = { name, ...unused, pairs: new Map() };
      this.#columns.set(name, column);
    }
    return column;
  }

  /** The pair's place. */
  pair(column: Column, value: string | null): number {
    if (column.nameAt === 0) column.nameAt = this.shared(column.name);
    else if (value === column.lastValue) return column.lastPair;
    const isLookedUp = column.misses < MISSES_MAX;
    let place = isLookedUp ? column.pairs.get(value) : undefined;
    if (place !== undefined) column.misses = 0;
    else {
      place = this.pairs.length >> 1;
      this.pairs.push(column.nameAt);
      this.pairs.push(value === null ? 0 : this.#value(value));
      if (isLookedUp) {
        if (column.pairs.size > 0) column.misses++; // Else there was nothing to be found.
        column.pairs.set(value, place);
      }
    }
    column.lastValue = value;
    column.lastPair = place;
    return place;
  }

  /** All strings, one after the other; and begins another frame. */
  take(): string {
    const text = this.#strings.join("");
    this.#strings = [];
    this.lengths.length = 0;
    this.pairs.length = 0;
    this.textLength = 0;
    this.#shared.clear();
    this.#own.fill("");
    this.#ownAt.fill(0);
    if (this.#columns.size > COLUMNS_MAX) this.#columns.clear();
    for (const column of this.#columns.values()) {
      column.nameAt = 0;
      column.lastValue = null;
      column.pairs.clear();
    }
    return text;
  }

  #value(value: string): number {
    const own = this.#own;
    for (let index = 0; index < own.length; index++) {
      if (own[index] === value && this.#ownAt[index] !== 0) return this.#ownAt[index] ?? 0;
    }
    return this.own(value);
  }

  #remember(text: string, place: number): void {
    this.#newest = (this.#newest + 1) % this.#own.length;
    this.#own[this.#newest] = text;
    this.#ownAt[this.#newest] = place;
  }

  #add(text: string): number {
    this.lengths.push(text.length);
    this.textLength += text.length;
    return this.#strings.push(text);
  }
}
