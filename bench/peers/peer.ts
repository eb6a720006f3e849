/** A server that is measured. To add one: write `bench/peers/NAME.ts`, add a line to `index.ts`. */

import type { Guest } from "../lab.ts";

export interface Place {
  /** A directory of its own, empty at the first start and kept for a second one. */
  readonly directory: string;
  /** What all servers share: see `Site`. */
  readonly site: Site;
  readonly port: number;
}

/** The guests, in the forms that servers read. */
export interface Site {
  readonly guests: readonly Guest[];
  /** Laid out as /etc/cloudstack; empty where a store is followed. */
  readonly databags: string;
  /** Laid out as /var/www/html on a virtual router. */
  readonly tree: string;
  /** Programs that this run has compiled or copied, by name. */
  readonly programs: Readonly<Record<string, string>>;
}

export interface Peer {
  /** For `--only`. */
  readonly name: string;
  /** For the tables. */
  readonly title: string;
  /** Why it cannot run here, `undefined` if it can. */
  missing(): string | undefined;
  /** Prepares its directory and says how it is started; it must stay in the foreground. */
  command(place: Place): readonly string[];
  /** True if it answers everyone alike: then bodies are not checked. */
  readonly fixed?: boolean;
  /** Where its 16 KiB body is; `/latest/user-data` of the guests that have one, if absent. */
  readonly largePath?: string;
  /** True if it answers from the tree of files. */
  readonly files?: boolean;
  /** True if it keeps state, so that a second start differs from the first. */
  readonly stateful?: boolean;
}
