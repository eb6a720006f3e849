/**
 * Keeps the memory small that a first reading leaves behind.
 *
 * What stays of ten thousand instances is made between garbage, and no runtime moves it together
 * later. So while the source is read, garbage is collected often, and its room is used again; once
 * more when the first snapshot is written. That saves 5 MiB, and takes 200 ms of CPU at the start.
 * Guests do not wait for it: it runs beside them. Then the code goes that only the start has run.
 */

import type { Rim } from "./http/rim.ts";

/** Some hundreds of instances are read in this time. ms. */
const WHILE_LOADING_MS = 50;

/** A reading takes a second or a few; a source that is waited for may take hours. ms. */
const LOADING_MS_MAX = 30_000;

/** By then the snapshot of what was read is written. ms. */
const AFTER_LOADING_MS = 3000;

/**
 * @returns ends it.
 */
export function settle(
  isLoading: () => boolean,
  { collect, releaseCode }: Pick<Rim, "collect" | "releaseCode">,
): () => void {
  if (collect === undefined) return () => {};
  let last: NodeJS.Timeout | undefined;
  const began = performance.now();
  const often = setInterval(() => {
    collect();
    if (isLoading() && performance.now() - began < LOADING_MS_MAX) return;
    clearInterval(often);
    last = setTimeout(() => {
      collect();
      releaseCode?.();
    }, AFTER_LOADING_MS);
    last.unref();
  }, WHILE_LOADING_MS);
  often.unref();
  return () => {
    clearInterval(often);
    clearTimeout(last);
  };
}
