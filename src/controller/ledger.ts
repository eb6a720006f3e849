/**
 * What is remembered beside the records: documents of one kind, read once, then kept in memory and
 * in the store alike. Nobody else writes documents of that kind.
 */

import type { Store } from "../store/store.ts";

export class Ledger<T> {
  readonly #store: Store;
  readonly #kind: string;
  readonly #documents: Map<string, T>;

  private constructor(store: Store, kind: string, documents: Map<string, T>) {
    this.#store = store;
    this.#kind = kind;
    this.#documents = documents;
  }

  /** @param parse `undefined` for a document that cannot be used: it is left alone */
  static async open<T>(
    store: Store,
    kind: string,
    parse: (value: unknown) => T | undefined,
  ): Promise<Ledger<T>> {
    const documents = new Map<string, T>();
    for (const [id, value] of await store.documents(kind)) {
      const document = parse(value);
      if (document !== undefined) documents.set(id, document);
    }
    return new Ledger(store, kind, documents);
  }

  get size(): number {
    return this.#documents.size;
  }

  get(id: string): T | undefined {
    return this.#documents.get(id);
  }

  values(): IterableIterator<T> {
    return this.#documents.values();
  }

  ids(): IterableIterator<string> {
    return this.#documents.keys();
  }

  /** @throws {StoreError} if the store cannot be written; then nothing has changed. */
  async put(entries: readonly (readonly [id: string, document: T])[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#store.putDocuments(this.#kind, entries);
    for (const [id, document] of entries) this.#documents.set(id, document);
  }

  /** @throws {StoreError} if the store cannot be written; then nothing has changed. */
  async delete(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#store.putDocuments(
      this.#kind,
      ids.map((id) => [id, undefined]),
    );
    for (const id of ids) this.#documents.delete(id);
  }
}
