/** Lists by pages, as CloudStack has them: both parameters or none, and a count of all. */

import type { Fields } from "../../source/cloudstack/answer.ts";
import { refuse } from "./errors.ts";
import { PAGE_SIZE_MAX, PAGE_USER_DATA_BYTES_MAX } from "./limits.ts";

/** For a command's schema. */
export const PAGING = {
  page: { kind: "count" },
  pagesize: { kind: "count" },
  keyword: { kind: "text" },
} as const;

export interface Paging {
  readonly page: number | undefined;
  readonly pagesize: number | undefined;
}

/** The items of the page that is asked for. @throws {ClientApiError} 431 */
export function pageOf<T>(items: readonly T[], { page, pagesize }: Paging): readonly T[] {
  if (pagesize !== undefined && pagesize > PAGE_SIZE_MAX) {
    const limit = `its max allowed value ${PAGE_SIZE_MAX}`;
    throw refuse("parameter", `The parameter pagesize exceeds ${limit}`);
  }
  if ((page === undefined) !== (pagesize === undefined)) {
    throw refuse("parameter", "The parameters page and pagesize must be given together");
  }
  const size = pagesize ?? PAGE_SIZE_MAX;
  const from = ((page ?? 1) - 1) * size;
  return items.slice(from, from + size);
}

/**
 * A client that reads that page size is too large asks for a smaller one.
 *
 * @param bytesOf how much user data an item shows
 * @throws {ClientApiError} 431
 */
export function checkUserData<T>(page: readonly T[], bytesOf: (item: T) => number): void {
  let bytes = 0;
  for (const item of page) bytes += bytesOf(item);
  if (bytes <= PAGE_USER_DATA_BYTES_MAX) return;
  const limit = `${PAGE_USER_DATA_BYTES_MAX} bytes`;
  const message = `The page has more than ${limit} of user data: ask for a smaller page size`;
  throw refuse("parameter", message);
}

/** A page as it is answered. @throws {ClientApiError} 431 */
export async function paged<T>(
  name: string,
  items: readonly T[],
  paging: Paging,
  show: (item: T) => Fields | Promise<Fields>,
): Promise<Fields> {
  const shown = await Promise.all(pageOf(items, paging).map(show));
  // CloudStack counts nothing where it lists nothing.
  return shown.length === 0 ? {} : { count: items.length, [name]: shown };
}

/** Whether a keyword, if there is one, is a part of one of the names. */
export function matches(keyword: string | undefined, ...names: readonly string[]): boolean {
  if (keyword === undefined) return true;
  return names.some((name) => name.toLowerCase().includes(keyword.toLowerCase()));
}

/** Whether what is asked for, if anything is, is one of these. */
export function is(wanted: string | undefined, ...values: readonly string[]): boolean {
  return wanted === undefined || values.includes(wanted);
}
