/**
 * A follower's view of the file: a connection of its own, on which what it reads is of one moment,
 * however long that takes and whatever is written meanwhile.
 */

import type { Network } from "../../model/change.ts";
import type { FeedElement, RecordChange } from "../../model/feed.ts";
import type { RecordName, StoredRecord } from "../../model/record.ts";
import { parseNetworks } from "../../model/record-parse.ts";
import { rest } from "../../platform/turns.ts";
import { changeOf, type Held, keyOf, stored } from "../decide.ts";
import { SLICE_RECORDS } from "../limits.ts";
import type { FollowOptions } from "../store.ts";
import type { Database } from "./database.ts";
import type { RecordRow } from "./rows.ts";
import { schemaCheck } from "./schema-check.ts";
import { type Head, prepare, type Removed, type Statements } from "./statements.ts";

type Snapshot = Extract<FeedElement, { kind: "snapshot" }>;

/** Opens a row, or says why it cannot and answers `undefined`. */
export type OpenRow = (row: RecordRow) => Held | undefined;

export interface ViewOptions extends FollowOptions {
  readonly database: Database;
  /** Of the file: for errors. */
  readonly path: string;
  readonly openRow: OpenRow;
  /** Told of each record that is gone, which may have been damaged before. */
  readonly onRemoved: (name: RecordName) => void;
}

export class View {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #openRow: OpenRow;
  readonly #onRemoved: (name: RecordName) => void;
  readonly #checkSchema: () => void;
  readonly #isFromNow: boolean;
  #known: number | undefined;

  constructor({ database, path, openRow, onRemoved, from }: ViewOptions) {
    this.#isFromNow = from === "now";
    this.#onRemoved = onRemoved;
    this.#database = database;
    this.#checkSchema = schemaCheck(database, path);
    this.#statements = prepare(database);
    this.#openRow = openRow;
    database.exec("PRAGMA query_only = 1");
  }

  /** What is new since the last call; `undefined` if nothing is, or the signal is aborted. */
  async next(signal: AbortSignal): Promise<FeedElement | undefined> {
    this.#database.exec("BEGIN");
    try {
      this.#checkSchema();
      const head = this.#statements.head();
      if (head.revision === this.#known) return undefined;
      const element = await this.#read(head, signal);
      if (signal.aborted) return undefined;
      this.#known = head.revision;
      return element;
    } finally {
      if (this.#database.isOpen !== false) this.#database.exec("COMMIT");
    }
  }

  async #read(head: Head, signal: AbortSignal): Promise<FeedElement> {
    const { revision, rememberedFrom } = head;
    const known = this.#known;
    if (known === undefined || known < rememberedFrom) {
      if (this.#isFromNow) return { kind: "snapshot", records: [], networks: [], revision };
      const networks = this.#networks();
      return { kind: "snapshot", ...(await this.#all(signal)), networks, revision };
    }
    const isNews = (this.#statements.networksRevision() ?? 0) > known;
    const networks = isNews ? { networks: this.#networks() } : {};
    const changes = await this.#changes(known, signal);
    return { kind: "changes", changes, ...networks, revision };
  }

  #networks(): readonly Network[] {
    return parseNetworks(JSON.parse(this.#statements.networks()?.networks ?? "[]"));
  }

  /** A row that cannot be opened says its name all the same: it is not sealed. */
  async #all(signal: AbortSignal): Promise<Pick<Snapshot, "records" | "damaged">> {
    const records: StoredRecord[] = [];
    const damaged: RecordName[] = [];
    let last: RecordName = { network: "", id: "" };
    while (!signal.aborted) {
      const rows = this.#statements.recordsAfter(last.network, last.id, SLICE_RECORDS);
      for (const row of rows) {
        const held = this.#openRow(row);
        if (held !== undefined) records.push(stored(held));
        else damaged.push({ network: row.network, id: row.id });
      }
      last = rows.at(-1) ?? last;
      if (rows.length < SLICE_RECORDS) break;
      await rest();
    }
    return { records, ...(damaged.length > 0 && { damaged }) };
  }

  async #changes(known: number, signal: AbortSignal): Promise<RecordChange[]> {
    const removed = new Map<string, Removed>();
    for (const row of this.#statements.removedAfter(known)) removed.set(keyOf(row), row);
    const changes: RecordChange[] = [];
    let last = known;
    while (!signal.aborted) {
      const rows = this.#statements.recordsChangedAfter(last, SLICE_RECORDS);
      for (const row of rows) {
        removed.delete(keyOf(row)); // It was made anew since.
        const held = this.#openRow(row);
        if (held !== undefined) changes.push(changeOf(held, known));
      }
      last = rows.at(-1)?.revision ?? last;
      if (rows.length < SLICE_RECORDS) break;
      await rest();
    }
    for (const row of removed.values()) {
      this.#onRemoved(row);
      changes.push({ kind: "delete", ...row });
    }
    return changes.sort((a, b) => a.revision - b.revision);
  }
}
