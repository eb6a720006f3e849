/**
 * Where a router's instances come from: a source that it reads itself, or a store that another
 * program writes. Both are a `Source` from here on.
 */

import { resolve } from "node:path";
import { contentHash } from "../protocol/etag.ts";
import { openSource, parseSource } from "../source/index.ts";
import type { Source, SourceContext } from "../source/source.ts";
import { openStore, parseStore, stores } from "../store/index.ts";
import type { RouterState } from "./state/state.ts";
import type { Served } from "./store/served.ts";

/** Whether `sqlite:PATH` and not `databag:DIR` or `file:PATH`. */
export function isStore(place: string): boolean {
  return Object.hasOwn(stores, place.split(":", 1)[0] ?? "");
}

/**
 * Checks `databag:DIR`, `file:PATH` or `sqlite:PATH`.
 *
 * @throws {UsageError} if it is none of them.
 */
export function checkInstances(place: string): void {
  if (isStore(place)) parseStore(place);
  else parseSource(place);
}

/**
 * The folder of this router's state: one realm for one network namespace, one place and the
 * networks that are served of it, because what others said of an address is another network's, or a
 * mistake.
 */
export function realmOf(place: string, served?: Served): string {
  const networks = served === undefined ? "" : `\0${JSON.stringify(served)}`;
  return `main-${contentHash(absolute(place) + networks)}`;
}

function absolute(place: string): string {
  const colon = place.indexOf(":") + 1;
  return place.slice(0, colon) + resolve(place.slice(colon));
}

/** @throws what the source throws. A store is opened later, and again and again. */
export async function openInstances(
  place: string,
  context: SourceContext & { readonly served?: Served },
  { sealKey, bodies }: Pick<RouterState, "sealKey" | "bodies">,
): Promise<Source> {
  if (!isStore(place)) return openSource(place, context);
  const { StoreSource } = await import("./store/source.ts");
  const { FIRST_START_PATIENCE_MS } = await import("./store/limits.ts");
  const { conditions, now, firstStart, served } = context;
  const name = absolute(place);
  return new StoreSource({
    ...{ name, conditions, now, patienceMs: firstStart ? FIRST_START_PATIENCE_MS : 0 },
    open: () => openStore(name, { ...{ sealKey, conditions, now }, role: "reader" }),
    ...(served !== undefined && { served }),
    disk: { keepBody: (bytes) => bodies.store(bytes), keptBody: (ref) => bodies.keep(ref) },
  });
}
