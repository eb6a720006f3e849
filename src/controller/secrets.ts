/**
 * Secrets that are read at the start, and anew on SIGHUP. Where that fails, what was good last
 * counts, and a condition names the file.
 */

import type { Conditions } from "../observe/conditions.ts";

/** A secret, or several that belong together, and where it is read. */
export interface SecretSource<T> {
  /** The file. Absent where it is the environment, which never says anything else. */
  readonly file?: string;
  /** @throws {ConfigError | StateError} if it cannot be used. It never says what it is. */
  read(): Promise<T>;
}

/** Something that takes its secrets from a file. */
export interface Reloadable {
  readonly file: string | undefined;
  /** Rejects if they cannot be used; then the last ones stay. */
  reload(): Promise<void>;
}

/** Reads everything anew; what fails keeps nothing else from it. One file may have several. */
export async function reloadAll(
  all: readonly Reloadable[],
  conditions: Pick<Conditions, "raise" | "clear">,
): Promise<void> {
  const troubles = new Map<string, string | undefined>();
  for (const { file, reload } of all) {
    if (file === undefined) continue;
    const trouble = await reload().then(() => undefined, reasonOf);
    troubles.set(file, troubles.get(file) ?? trouble);
  }
  for (const [file, trouble] of troubles) {
    if (trouble === undefined) conditions.clear("CREDENTIALS_UNREADABLE", file);
    else conditions.raise("CREDENTIALS_UNREADABLE", file, trouble);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
