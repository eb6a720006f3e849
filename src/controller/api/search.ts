/**
 * Records by what an instance is called. Nothing is indexed, because names are sealed: a search
 * reads the store in order, so much in one request, and says where the next one goes on.
 */

import type { RecordName, StoredRecord } from "../../model/record.ts";
import type { Page, Store } from "../../store/store.ts";
import { SEARCH_RECORDS_MAX } from "./limits.ts";

export interface Search {
  /** Only in this network. */
  readonly network: string | undefined;
  /** Whole, not a part of it. Where both are given, either is enough. */
  readonly name: string | undefined;
  readonly id: string | undefined;
  readonly limit: number;
  readonly after: RecordName | undefined;
}

/** @returns a page that may be short, or empty, and have a next one */
export async function search(
  store: Pick<Store, "list">,
  { network, name, id, limit, after: from }: Search,
): Promise<Page> {
  const found: StoredRecord[] = [];
  let after = from;
  let revision: number | undefined;
  for (let read = 0; ; ) {
    const page = await store.list({
      ...(network !== undefined && { network }),
      ...(after !== undefined && { after }),
    });
    revision ??= page.revision;
    for (const stored of page.records) {
      const { record } = stored;
      if (record.name !== name && record.id !== id) continue;
      found.push(stored);
      if (found.length === limit) return { records: found, revision, next: nameOf(record) };
    }
    read += page.records.length;
    after = page.next;
    if (after === undefined) return { records: found, revision };
    if (read >= SEARCH_RECORDS_MAX) return { records: found, revision, next: after };
  }
}

function nameOf({ network, id }: RecordName): RecordName {
  return { network, id };
}
