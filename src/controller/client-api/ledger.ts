/**
 * What the API remembers beside the records: documents of one kind, read once, then kept in memory
 * and in the store alike. Nobody else writes documents of these kinds.
 */

import type { Store } from "../../store/store.ts";

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

  async put(id: string, document: T): Promise<void> {
    await this.#store.putDocuments(this.#kind, [[id, document]]);
    this.#documents.set(id, document);
  }

  async delete(ids: readonly string[]): Promise<void> {
    await this.#store.putDocuments(
      this.#kind,
      ids.map((id) => [id, undefined]),
    );
    for (const id of ids) this.#documents.delete(id);
  }
}
