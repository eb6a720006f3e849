/**
 * Which installation each instance is, remembered in the store: the API tells the root disk, and
 * another disk than last time is another installation.
 */

import type { Installation } from "../source/cloudstack/incarnation.ts";
import type { Store } from "../store/store.ts";

const KIND = "installation";

export class Installations {
  readonly #store: Store;
  readonly #known: Map<string, Installation>;
  readonly #incarnationOf: (id: string) => number | undefined;

  private constructor(
    store: Store,
    known: Map<string, Installation>,
    incarnationOf: (id: string) => number | undefined,
  ) {
    this.#store = store;
    this.#known = known;
    this.#incarnationOf = incarnationOf;
  }

  /** @param incarnationOf what an instance's records say, for one that nothing is remembered of */
  static async open(
    store: Store,
    incarnationOf: (id: string) => number | undefined,
  ): Promise<Installations> {
    const known = new Map<string, Installation>();
    for (const [id, document] of await store.documents(KIND)) {
      const installation = read(document);
      if (installation !== undefined) known.set(id, installation);
    }
    return new Installations(store, known, incarnationOf);
  }

  get(id: string): Installation | undefined {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const incarnation = this.#incarnationOf(id);
    return incarnation === undefined ? undefined : { incarnation, rootDisk: undefined };
  }

  async remember(all: readonly (readonly [string, Installation])[]): Promise<void> {
    const changed = all.filter(([id, { incarnation, rootDisk }]) => {
      const known = this.#known.get(id);
      return known?.incarnation !== incarnation || known.rootDisk !== rootDisk;
    });
    if (changed.length === 0) return;
    await this.#store.putDocuments(KIND, changed);
    for (const [id, installation] of changed) this.#known.set(id, installation);
  }

  /** Forgets instances that the source no longer lists, not even as destroyed. */
  async keepOnly(listed: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#known.keys()].filter((id) => !listed.has(id));
    if (gone.length === 0) return;
    await this.#store.putDocuments(
      KIND,
      gone.map((id) => [id, undefined]),
    );
    for (const id of gone) this.#known.delete(id);
  }
}

/** `undefined` if it is none: then it is as if nothing were remembered. */
function read(document: unknown): Installation | undefined {
  if (typeof document !== "object" || document === null) return undefined;
  const { incarnation, rootDisk } = document as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(incarnation) || Number(incarnation) < 1) return undefined;
  return {
    incarnation: Number(incarnation),
    rootDisk: typeof rootDisk === "string" ? rootDisk : undefined,
  };
}
