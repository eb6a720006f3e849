/**
 * The table of stores, one line each, keyed by the word before the colon: `sqlite:PATH`.
 *
 * Each is imported when it is asked for, so that a router without a store pays for none.
 */

import { didYouMean } from "../config/nearest.ts";
import { quote, UsageError } from "../model/errors.ts";
import type { Store, StoreOptions } from "./store.ts";

export type OpenStore = (location: string, options: StoreOptions) => Promise<Store>;

export const stores: Readonly<Record<string, OpenStore>> = {
  sqlite: async (path, options) => (await import("./sqlite.ts")).openSqlite(path, options),
};

/** What `--store` means. */
export interface StoreSpec {
  /** A key of `stores`. */
  readonly scheme: string;
  readonly location: string;
}

/**
 * Takes `SCHEME:LOCATION` apart.
 *
 * @throws {UsageError} if there is no such store, or it lacks its place.
 */
export function parseStore(text: string): StoreSpec {
  const colon = text.indexOf(":");
  const scheme = colon === -1 ? text : text.slice(0, colon);
  const location = colon === -1 ? "" : text.slice(colon + 1);
  if (!Object.hasOwn(stores, scheme)) {
    const guess = didYouMean(scheme, Object.keys(stores));
    throw new UsageError(`no such store: ${quote(scheme)}${guess || "; write sqlite:PATH"}`);
  }
  if (location === "") throw new UsageError(`${scheme}: says no path; write ${scheme}:PATH`);
  return { scheme, location };
}

/** @throws {UsageError} as `parseStore`, and what the store itself throws. */
export async function openStore(text: string, options: StoreOptions): Promise<Store> {
  const { scheme, location } = parseStore(text);
  const open = stores[scheme];
  if (open === undefined) throw new UsageError(`no such store: ${quote(scheme)}`);
  return open(location, options);
}
