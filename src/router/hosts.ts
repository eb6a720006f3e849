/**
 * Which `Host` headers are ours: the defence against DNS rebinding.
 *
 * `audit` (the default) answers all and raises a condition for those that `enforce` would refuse,
 * so that an operator sees what would break before switching it on.
 */

import { isIP } from "node:net";
import type { Network } from "../model/change.ts";
import type { Conditions } from "../observe/conditions.ts";

/** Names that guests' clients use for their metadata service, besides its addresses. */
const USUAL = ["169.254.169.254", "fd00:ec2::254", "data-server", "metadata", "instance-data"];

/** Longer values are not ours. A DNS name has 253 characters at most. */
const HOST_MAX = 300;

/** The names of one router, lower case, without ports. */
export function allowedHosts(
  listening: Iterable<string>,
  networks: readonly Network[],
  extra: readonly string[],
): ReadonlySet<string> {
  const names = new Set<string>([
    ...USUAL,
    ...listening,
    ...extra.map((name) => name.toLowerCase()),
  ]);
  for (const { dnsDomain } of networks) {
    if (dnsDomain === undefined || isIP(dnsDomain) !== 0) continue;
    for (const name of USUAL.filter((name) => isIP(name) === 0)) {
      names.add(`${name}.${dnsDomain.toLowerCase()}`);
    }
  }
  return names;
}

/** Whether a `Host` value names this router. Absent (HTTP/1.0) is allowed: no browser omits it. */
export function isAllowedHost(host: string | undefined, allowed: ReadonlySet<string>): boolean {
  if (host === undefined || allowed.has(host)) return true;
  if (host.length > HOST_MAX) return false;
  const name = host
    .toLowerCase()
    .replace(/:\d{1,5}$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, ""); // `data-server.` is the same name, written absolutely.
  return allowed.has(name);
}

/** After this time without such a request the condition is over: most clients ask at a boot. ms. */
export const HOST_QUIET_MS: number = 60 * 60 * 1000;

/** Text of a guest that is safe to show, because it can be nothing but a name and a port. */
const PLAIN = /^[A-Za-z0-9.-]{1,64}(?::\d{1,5})?$/;

/** Tells that guests ask with names that are not ours, until they no longer do. */
export class UnexpectedHosts {
  readonly #conditions: Conditions;
  readonly #quietMs: number;
  /** When each network's guests did last. */
  readonly #lastAt = new Map<string, number>();

  constructor(conditions: Conditions, quietMs: number = HOST_QUIET_MS) {
    this.#conditions = conditions;
    this.#quietMs = quietMs;
  }

  /**
   * @param subject a network, or a word for those without one
   * @param host what was asked for; it is told only if it is plainly a name
   */
  saw(subject: string, host: string): void {
    const isNew = !this.#lastAt.has(subject);
    this.#lastAt.set(subject, performance.now());
    if (!isNew) return;
    const detail = PLAIN.test(host) ? `asked for ${host}, for instance` : "";
    this.#conditions.raise("HOST_UNEXPECTED", subject, detail);
    this.#forgetIn(this.#quietMs, subject);
  }

  #forgetIn(delayMs: number, subject: string): void {
    setTimeout(() => {
      const leftMs = (this.#lastAt.get(subject) ?? 0) + this.#quietMs - performance.now();
      if (leftMs > 0) {
        this.#forgetIn(leftMs, subject);
        return;
      }
      this.#lastAt.delete(subject);
      this.#conditions.clear("HOST_UNEXPECTED", subject);
    }, delayMs).unref();
  }
}
