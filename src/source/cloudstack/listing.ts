/**
 * A whole list, page by page, although it changes meanwhile.
 *
 * What appears or vanishes between two pages shifts the rest, so that one item comes twice and
 * another not at all. A pass counts as quiet if every page told the same count and the items are as
 * many, each once; or if two passes in a row found the same ones. Else it is read again. A list
 * that is never quiet is answered as all that any pass saw, and says so: nothing may be taken for
 * gone by it. One item for another in the same moment is not noticed: who takes an item for gone
 * asks for it by its name first.
 */

import { CloudStackError } from "../../model/errors.ts";
import { type Fields, isFields } from "./answer.ts";
import { CloudTooLarge } from "./budget.ts";
import type { Api } from "./client.ts";
import { ITEMS_MAX, PAGE_SIZE, PAGE_SIZE_MIN, PASSES_MAX } from "./limits.ts";
import type { Params } from "./sign.ts";

export interface List {
  readonly command: string;
  /** The name under which the answer has its items. */
  readonly item: string;
  readonly params?: Params;
}

export interface Listing<T> {
  readonly items: readonly T[];
  /** Whether what is not in it was not there. */
  readonly settled: boolean;
}

/** Takes of an item what is needed; `undefined` where it cannot be used. */
export type ReadItem<T> = (raw: Fields) => T | undefined;

interface Pass<T> {
  readonly items: ReadonlyMap<string, T>;
  readonly quiet: boolean;
  /** Items without a name: nobody knows which they are. */
  readonly nameless: number;
}

/** @throws {CloudStackError} */
export async function listAll<T>(
  api: Api,
  list: List,
  read: ReadItem<T>,
  signal: AbortSignal,
): Promise<Listing<T>> {
  let size = PAGE_SIZE;
  let last: Pass<T> | undefined;
  const seen = new Map<string, T>();
  for (let passes = 0; passes < PASSES_MAX; ) {
    let pass: Pass<T>;
    try {
      pass = await stopping(signal, (own) => onePass(api, list, { read, size }, own));
    } catch (error) {
      const smaller = smallerPage(error, size);
      if (smaller === undefined) throw error;
      size = smaller;
      continue;
    }
    if (pass.quiet || sameNames(pass.items, last?.items)) {
      return { items: [...pass.items.values()], settled: pass.nameless === 0 };
    }
    for (const [id, item] of pass.items) seen.set(id, item);
    last = pass;
    passes++;
  }
  return { items: [...seen.values()], settled: false };
}

/** Where one page fails, of the others nothing is wanted any more. */
async function stopping<T>(
  signal: AbortSignal,
  work: (own: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const forward = (): void => stop.abort(signal.reason);
  if (signal.aborted) forward();
  signal.addEventListener("abort", forward, { once: true });
  try {
    return await work(stop.signal);
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    signal.removeEventListener("abort", forward);
  }
}

/** The next size to try, if the error is about the size of a page. */
function smallerPage(error: unknown, size: number): number | undefined {
  if (!(error instanceof CloudStackError) || size <= PAGE_SIZE_MIN) return undefined;
  if (error instanceof CloudTooLarge) return undefined;
  const refused = error.code === "CLOUDSTACK_REQUEST" && /page ?size/i.test(error.message);
  if (!refused && error.code !== "CLOUDSTACK_TOO_LARGE") return undefined;
  return Math.max(PAGE_SIZE_MIN, Math.floor(size / 2));
}

function sameNames(a: ReadonlyMap<string, unknown>, b?: ReadonlyMap<string, unknown>): boolean {
  return b !== undefined && a.size === b.size && [...a.keys()].every((id) => b.has(id));
}

async function onePass<T>(
  api: Api,
  list: List,
  { read, size }: { read: ReadItem<T>; size: number },
  signal: AbortSignal,
): Promise<Pass<T>> {
  const items = new Map<string, T>();
  let found = 0;
  let nameless = 0;
  const counts = new Set<number>();

  const page = async (number: number): Promise<number> => {
    const params = { ...list.params, page: String(number), pagesize: String(size) };
    const content = await api.read(list.command, params, signal);
    const raws = (number === 1 ? firstItemsOf : itemsOf)(list, content);
    // An empty list has no count. A page beyond the last one tells none either.
    if (content.count !== undefined || raws.length > 0) {
      counts.add(Number(content.count ?? Number.NaN));
    }
    for (const raw of raws) {
      const item = isFields(raw) ? read(raw) : undefined;
      const id = isFields(raw) ? idOf(raw) : undefined;
      found++;
      if (id === undefined || item === undefined) nameless++;
      else items.set(id, item);
    }
    return raws.length;
  };

  const first = await page(1);
  const [count = 0] = counts;
  // Without a count it is never as many as was told: go on until a page is not full.
  if (count > ITEMS_MAX) throw tooMany(list.command);
  const pages = Math.ceil((Number.isNaN(count) ? 0 : count) / size);
  const others = Array.from({ length: Math.max(0, pages - 1) }, (_, at) => page(at + 2));
  const lengths = await Promise.all(others);
  // It was counted wrong, or has grown.
  let length = lengths.at(-1) ?? first;
  for (let number = Math.max(pages, 1) + 1; length === size && found !== count; number++) {
    if (found > ITEMS_MAX) throw tooMany(list.command);
    length = await page(number);
  }
  const quiet = counts.size <= 1 && items.size + nameless === found && found === count;
  return { items, quiet, nameless };
}

function itemsOf({ command, item }: List, { [item]: items = [] }: Fields): readonly unknown[] {
  if (Array.isArray(items)) return items;
  throw new CloudStackError("CLOUDSTACK_ANSWER", `${command}: its items are no list`);
}

/**
 * What a first page has, or an answer without pages. None where some are counted would be believed
 * as soon as it is said twice.
 *
 * @throws {CloudStackError}
 */
export function firstItemsOf(list: List, content: Fields): readonly unknown[] {
  const items = itemsOf(list, content);
  if (items.length > 0 || Number(content.count ?? 0) === 0) return items;
  throw new CloudStackError("CLOUDSTACK_ANSWER", `${list.command}: a count, and no items`);
}

/** The name of an item. What is none is not made a text: it may be of any depth. */
export function idOf({ id }: Fields): string | undefined {
  if (typeof id === "string" && id !== "") return id;
  return typeof id === "number" ? String(id) : undefined;
}

function tooMany(command: string): CloudStackError {
  return new CloudTooLarge(command, `more than ${ITEMS_MAX} items`);
}
