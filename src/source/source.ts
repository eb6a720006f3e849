/**
 * Where instances come from. To add one: write `src/source/NAME.ts` (or a folder), and add
 * one line to the table in `index.ts`.
 *
 * A source keeps what it has read last and reports differences, because the cost of one
 * change must not grow with the number of instances.
 */

import type { Ip } from "../model/address.ts";
import type { Change, Delivered, Endpoint, Epoch, Network } from "../model/change.ts";
import type { Conditions } from "../observe/conditions.ts";

export interface Source extends AsyncDisposable {
  /**
   * What has changed since the last call; on the first call, everything.
   *
   * Reads in slices of a few milliseconds, so that guests are answered meanwhile. What cannot be
   * read or understood keeps its last good state and raises a condition; then the answer is what
   * can be said without it.
   *
   * @param show is given changes while others are still looked for, and they are not answered again
   * @throws {SourceError} only while nothing has been read yet: there is nothing to serve.
   */
  poll(
    signal: AbortSignal,
    show?: (changes: readonly Change[]) => void,
  ): Promise<readonly Change[]>;

  /**
   * A first look, before the first `poll`, for a source whose first reading takes a while: so short
   * that guests wait for it. Afterwards `networks` and `endpoints` are known, and `hasten` answers.
   */
  readonly glance?: (signal: AbortSignal) => Promise<void>;

  /**
   * What can be said at once of one address whose guest asks before the first `poll` has ended;
   * nothing where that is not certain. What `poll` answers then follows on this.
   */
  readonly hasten?: (address: Ip) => readonly Change[];

  /**
   * What is in force at an address, as if it were new: the router has lost a part of it. Nothing
   * where the source has nothing, or cannot say it now.
   */
  readonly again?: (address: Ip) => readonly Change[];

  /**
   * True where the router starts without it and waits, however long: a store whose writer has not
   * started yet. It says by a condition why nothing has been read.
   */
  readonly isAwaited?: boolean;

  /** Told when a guest has a password that came with `via` of a store. */
  readonly delivered?: (delivered: Delivered) => void;

  /** Yields whenever `poll` may answer something. May yield too often, never too seldom. */
  changes(signal: AbortSignal): AsyncIterable<void>;

  /** The networks that the source knows, after the first `poll`. */
  networks(): readonly Network[];

  /** The router's own guest-side addresses that the source knows (`--listen auto`). */
  endpoints(): readonly Endpoint[];

  /**
   * Takes back what an earlier run of this program knew, before the first `poll`: bindings and
   * withheld addresses, so that epochs go on and a binding is kept as first seen.
   *
   * @param epochs what passwords were kept for, also at addresses of which nothing else is known:
   *   none of these epochs is begun again for another instance.
   */
  restore(changes: readonly Change[], epochs?: Iterable<Epoch>): void;

  /**
   * Takes one command as CloudStack writes it and says what it changes. Only sources that stand
   * for a CloudStack router have it.
   *
   * @param name file name, for messages and for the type where the command has none
   * @throws {CommandError} if the command is malformed, of unknown type, or names no address.
   */
  readonly apply?: (text: string, name: string) => readonly Change[];
}

/** What every source is given when it is opened. */
export interface SourceContext {
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** `--network`: the network's name where the source does not know one. */
  readonly network?: string;
  /** `--cache-dir`: CloudStack's /var/cache/cloud, where the databag source finds passwords. */
  readonly cacheDir?: string;
  /** True when no state of an earlier run exists: then `passwords-<ip>` is the truth. */
  readonly firstStart: boolean;
}

/**
 * The command by which CloudStack sets the password of whoever has an address, or will have it: for
 * `apply`.
 */
export function passwordCommand(address: Ip, password: string): string {
  return JSON.stringify({ type: "vmpassword", ip_address: address, password });
}
