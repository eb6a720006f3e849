/**
 * What the controller and its HTTP APIs know of each other.
 *
 * To add an API: write it in a folder of its own as a function from `ApiPorts` to a Hono app, and
 * add one line to the table in `apis.ts`. An API never opens a listener and never reads a source.
 */

import type { Hono } from "hono";
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

/** One API of the controller: what answers below a path of the API listener. */
export interface ControllerPart {
  /** `/` or `/client/api`: the app sees what follows it. */
  readonly path: string;
  readonly open: (ports: ApiPorts) => Promise<Hono>;
}
