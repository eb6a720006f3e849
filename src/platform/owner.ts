/**
 * Whose a file may be that decides something or holds a secret.
 */

import { statSync } from "node:fs";
import { dirname } from "node:path";

/** Ours or root's. To root a service's file, too, in that service's own folder. */
export function isTrustedOwner(path: string, owner: number): boolean {
  const self = process.getuid?.();
  if (self === undefined || owner === self || owner === 0) return true;
  return self === 0 && owner === statSync(dirname(path)).uid;
}
