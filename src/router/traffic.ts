/**
 * Counts and logs what was answered. On the request path: a few additions and one short string.
 */

import type { Access, AccessLog } from "../observe/access-log.ts";

export type OnAccess = (access: Access) => void;

export class Traffic {
  readonly #log: AccessLog;
  readonly #watch: OnAccess | undefined;
  readonly #counts = new Map<string, Map<number, number>>();

  /** @param watch sees every access, for the demo's live view */
  constructor(log: AccessLog, watch?: OnAccess) {
    this.#log = log;
    this.#watch = watch;
  }

  record(access: Access): void {
    const { plane, what, status } = access;
    const key = `${plane} ${what}`;
    let statuses = this.#counts.get(key);
    if (statuses === undefined) {
      statuses = new Map();
      this.#counts.set(key, statuses);
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    this.#log.record(access);
    this.#watch?.(access);
  }

  *counts(): Generator<readonly [plane: string, what: string, status: number, count: number]> {
    for (const [key, statuses] of this.#counts) {
      const [plane = "", what = ""] = key.split(" ");
      for (const [status, count] of statuses) yield [plane, what, status, count];
    }
  }
}
