/**
 * Which installation each instance is, remembered in the store: the API tells the root disk, and
 * another disk than last time is another installation.
 */

import type { Installation } from "../source/cloudstack/incarnation.ts";
import type { Store } from "../store/store.ts";
import { Ledger } from "./ledger.ts";

export interface Installations {
  get(id: string): Installation | undefined;
  /** @throws {StoreError} if the store cannot be written. */
  remember(all: readonly (readonly [id: string, Installation])[]): Promise<void>;
  /**
   * Forgets instances that the source no longer lists, not even as destroyed.
   *
   * @throws {StoreError} if the store cannot be written.
   */
  keepOnly(listed: ReadonlySet<string>): Promise<void>;
}

/** @param incarnationOf what an instance's records say, for one that nothing is remembered of */
export async function openInstallations(
  store: Store,
  incarnationOf: (id: string) => number | undefined,
): Promise<Installations> {
  const known = await Ledger.open(store, "installation", parse);
  return {
    get(id) {
      const incarnation = incarnationOf(id);
      const presumed = incarnation === undefined ? undefined : { incarnation, rootDisk: undefined };
      return known.get(id) ?? presumed;
    },
    remember(all) {
      const changed = all.filter(([id, { incarnation, rootDisk }]) => {
        const before = known.get(id);
        return before?.incarnation !== incarnation || before.rootDisk !== rootDisk;
      });
      return known.put(changed);
    },
    keepOnly(listed) {
      return known.delete([...known.ids()].filter((id) => !listed.has(id)));
    },
  };
}

/** By hand: a controller without an API loads no library for it. */
function parse(document: unknown): Installation | undefined {
  if (typeof document !== "object" || document === null) return undefined;
  const { incarnation, rootDisk } = document as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(incarnation) || Number(incarnation) < 1) return undefined;
  return {
    incarnation: Number(incarnation),
    rootDisk: typeof rootDisk === "string" ? rootDisk : undefined,
  };
}
