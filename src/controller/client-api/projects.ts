/** A lab has no projects: whoever asks for all of them is shown what is in none. */

import { refuse } from "./errors.ts";

/** For a command's schema. */
export const PROJECT = {
  projectid: { kind: "text" },
  listall: { kind: "flag" },
} as const;

interface Asked {
  readonly projectid: string | undefined;
}

/** @throws {ClientApiError} 431 */
export function checkProject({ projectid }: Asked): void {
  if (projectid !== undefined && projectid !== "-1") {
    throw refuse("parameter", "projectid: there are no projects");
  }
}

export function ofProject<T>({ projectid }: Asked, items: readonly T[]): readonly T[] {
  return projectid === undefined || projectid === "-1" ? items : [];
}
