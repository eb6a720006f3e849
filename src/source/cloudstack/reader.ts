/**
 * Reading with what the API keys may: a refused permission is a finding, and a list is all that
 * they can see of it.
 */

import { CloudStackError } from "../../model/errors.ts";
import type { Fields } from "./answer.ts";
import { Budget } from "./budget.ts";
import type { Api } from "./client.ts";
import { type Item, readItem, type Table } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { idOf, type List, type Listing, listAll, type ReadItem } from "./listing.ts";
import type { Params } from "./sign.ts";

export interface CloudReader {
  readonly api: Api;
  /** That of the API's keys: it names their user. */
  readonly apiKey: string;
  readonly findings: Findings;
  readonly signal: AbortSignal;
  /** Of all that is read. Absent where it is one instance. */
  readonly budget?: Budget;
}

/** A reader that knows whether the API keys can see a project. */
export interface ListReader extends CloudReader {
  readonly hasProjects: boolean;
}

/** Without a project there is nothing that is listed apart. */
export async function withProjects(given: CloudReader): Promise<ListReader> {
  const reader = { budget: new Budget(), ...given };
  const params = { listall: "true", page: "1", pagesize: "1" };
  try {
    const { count } = await reader.api.read("listProjects", params, reader.signal);
    return { ...reader, hasProjects: Number(count ?? 0) > 0 };
  } catch (error) {
    if (!isRefused(error)) throw error;
    // Asking for what may not be there costs time only.
    return { ...reader, hasProjects: true };
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof CloudStackError && error.code === "CLOUDSTACK_FORBIDDEN";
}

/** `undefined` where the API keys may not. */
export async function ifPermitted<T>(
  { findings }: CloudReader,
  command: string,
  keys: readonly string[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isRefused(error)) throw error;
    findings.add("not-permitted", command, keys);
    return undefined;
  }
}

/** All that the keys can see of a list, read by a table; `undefined` where they may not. */
export async function listOf<T extends Table>(
  reader: ListReader,
  list: List,
  table: T,
  keys: readonly string[],
): Promise<readonly Item<T>[] | undefined> {
  const read = (raw: Fields): Item<T> =>
    readItem(table, raw, (field, use) => {
      reader.findings.add("field-missing", `${list.command}.${field}`, [use], idOf(raw));
    });
  return ifPermitted(reader, list.command, keys, async () => {
    return (await listEverywhere(reader, list, read)).items;
  });
}

/**
 * The API lists accounts and projects apart: a root administrator may have both in one answer,
 * others may not. So both are asked, and what comes twice is one.
 */
export async function listEverywhere<T>(
  { api, findings, signal, hasProjects, budget }: ListReader,
  list: List,
  read: ReadItem<T>,
): Promise<Listing<T>> {
  const found = new Map<unknown, T>();
  const keep: ReadItem<T> = (raw) => {
    const item = read(raw);
    if (item === undefined) return undefined;
    budget?.keep(list.command, item, found.get(raw.id));
    found.set(raw.id, item);
    return item;
  };
  const one = (params: Params): Promise<Listing<T>> =>
    listAll(api, { ...list, params: { ...list.params, listall: "true", ...params } }, keep, signal);
  const accounts = await one({});
  const settled = accounts.settled && (!hasProjects || (await one({ projectid: "-1" })).settled);
  if (!settled) findings.add("list-unsettled", list.command);
  return { items: [...found.values()], settled };
}
