/**
 * Which installation of an instance it is. The API has no number for it: `restoreVirtualMachine`
 * gives the instance a new root disk, so another `id` in `listVolumes` (`type=ROOT`) is another
 * installation. A disk that moves to another storage keeps its id.
 *
 * An instance that is destroyed and made again has another id, and so begins at 1.
 */

/** What is remembered of an instance between two readings. */
export interface Installation {
  readonly incarnation: number;
  /** `undefined` until the API has told it. */
  readonly rootDisk: string | undefined;
}

/** @param rootDisk `undefined` where the API does not say it now: then nothing has changed. */
export function nextInstallation(
  last: Installation | undefined,
  rootDisk: string | undefined,
): Installation {
  if (last === undefined) return { incarnation: 1, rootDisk };
  if (rootDisk === undefined || rootDisk === last.rootDisk) return last;
  const isAnother = last.rootDisk !== undefined;
  return { incarnation: last.incarnation + (isAnother ? 1 : 0), rootDisk };
}
