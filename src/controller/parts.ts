/**
 * What the controller gives its HTTP APIs.
 *
 * To add an API: write it in a folder of its own as a function from `ApiPorts` to a Hono app, and
 * mount it in `apis.ts`. An API never opens a listener and never reads a source.
 */

import type { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import type { Store } from "../store/store.ts";

/** What an API is given. */
export interface ApiPorts {
  readonly store: Store;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  now(): number;
  readonly log: Log;
  /** User data may have so many characters of base64. */
  readonly userDataMax: number;
  /** True where a source owns the records: what an API wrote, the next pass would undo. */
  readonly readOnly: boolean;
  /** Asks the controller to look at its source again; at one instance only, if it is named. */
  hint(id?: string): void;
}
