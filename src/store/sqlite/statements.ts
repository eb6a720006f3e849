/** The statements of a store, prepared once for a connection. */

import type { SQLInputValue } from "node:sqlite";
import type { RecordName } from "../../model/record.ts";
import { COUNT_MAX } from "../../model/record-limits.ts";
import type { Database } from "./database.ts";
import type { RecordRow } from "./rows.ts";

/** What the store knows of itself. */
export interface Head {
  readonly revision: number;
  /** No binding that has ended had an epoch above this. */
  readonly epochFloor: number;
  /** What was deleted up to here may be forgotten. */
  readonly rememberedFrom: number;
}

export interface Networks {
  /** JSON. */
  readonly networks: string;
  readonly revision: number;
}

export interface Removed extends RecordName {
  readonly revision: number;
}

export type Statements = ReturnType<typeof prepare>;

const COLUMNS =
  "network, id, revision, content_revision, epoch, document, secret, acknowledged, body";

/** An epoch that no writer of ours gives out is none: its row is damaged, and raises nothing. */
const READ = COLUMNS.replace(" epoch,", ` iif(epoch > ${COUNT_MAX}, 0, epoch) AS epoch,`);

export function prepare(database: Database) {
  const all =
    <T>(sql: string) =>
    (...values: SQLInputValue[]): T[] =>
      statement(sql).all(...values) as T[];
  const one =
    <T>(sql: string) =>
    (...values: SQLInputValue[]): T | undefined =>
      statement(sql).get(...values) as T | undefined;
  const run =
    (sql: string) =>
    (...values: SQLInputValue[]): void =>
      void statement(sql).run(...values);
  // Prepared when first needed: a follower needs a few, and a reader another few.
  const prepared = new Map<string, ReturnType<Database["prepare"]>>();
  const statement = (sql: string) => {
    const known = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, known);
    return known;
  };
  const readHead = one<Head>(
    `SELECT revision, epoch_floor AS epochFloor, remembered_from AS rememberedFrom FROM store`,
  );
  const readNetworksRevision = one<Pick<Networks, "revision">>(
    "SELECT networks_revision AS revision FROM store",
  );
  return {
    head: (): Head => readHead() ?? { revision: 0, epochFloor: 0, rememberedFrom: 0 },
    networks: one<Networks>("SELECT networks, networks_revision AS revision FROM store"),
    /** Alone, because a cloud may have thousands of networks. */
    networksRevision: (): number | undefined => readNetworksRevision()?.revision,
    setNetworks: run("UPDATE store SET networks = ?, networks_revision = ?, revision = ?"),
    setHead: run("UPDATE store SET revision = ?, epoch_floor = ?, remembered_from = ?"),

    record: one<RecordRow>(`SELECT ${READ} FROM record WHERE network = ? AND id = ?`),
    recordsAfter: all<RecordRow>(
      `SELECT ${READ} FROM record WHERE (network, id) > (?, ?) ORDER BY network, id LIMIT ?`,
    ),
    recordsOfNetworkAfter: all<RecordRow>(
      `SELECT ${READ} FROM record WHERE network = ? AND id > ? ORDER BY id LIMIT ?`,
    ),
    recordsChangedAfter: all<RecordRow>(
      `SELECT ${READ} FROM record WHERE revision > ? ORDER BY revision LIMIT ?`,
    ),
    putRecord: run(
      `INSERT INTO record (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (network, id) DO UPDATE SET revision = excluded.revision,
         content_revision = excluded.content_revision, epoch = excluded.epoch,
         document = excluded.document, secret = excluded.secret, body = excluded.body,
         acknowledged = excluded.acknowledged`,
    ),
    takeSecret: run(
      `UPDATE record SET secret = NULL, acknowledged = ?, revision = ?
       WHERE network = ? AND id = ?`,
    ),
    deleteRecord: run("DELETE FROM record WHERE network = ? AND id = ?"),

    holderOf: one<{ id: string }>("SELECT id FROM address WHERE network = ? AND address = ?"),
    giveAddress: run("INSERT INTO address (network, address, id) VALUES (?, ?, ?)"),
    takeAddress: run("DELETE FROM address WHERE network = ? AND address = ?"),
    takeAddressesOf: run("DELETE FROM address WHERE network = ? AND id = ?"),

    body: one<{ sealed: Uint8Array }>("SELECT sealed FROM body WHERE name = ?"),
    hasBody: one<object>("SELECT 1 FROM body WHERE name = ?"),
    putBody: run("INSERT INTO body (name, sealed) VALUES (?, ?)"),
    dropBody: run(
      "DELETE FROM body WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM record WHERE body = ?1)",
    ),

    removedAfter: all<Removed>(
      "SELECT network, id, revision FROM removed WHERE revision > ? ORDER BY revision",
    ),
    remember: run("INSERT INTO removed (revision, network, id) VALUES (?, ?, ?)"),
    documents: all<{ id: string; sealed: Uint8Array }>(
      "SELECT id, sealed FROM document WHERE kind = ? ORDER BY id",
    ),
    putDocument: run(
      `INSERT INTO document (kind, id, sealed) VALUES (?, ?, ?)
       ON CONFLICT (kind, id) DO UPDATE SET sealed = excluded.sealed`,
    ),
    dropDocument: run("DELETE FROM document WHERE kind = ? AND id = ?"),

    payload: one<{ sealed: Uint8Array }>("SELECT sealed FROM payload WHERE name = ?"),
    payloads: all<{ name: Uint8Array; sealed: Uint8Array }>("SELECT name, sealed FROM payload"),
    payloadTotals: one<{ count: number; bytes: number }>(
      "SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM payload",
    ),
    payloadPart: one<{ sealed: Uint8Array }>(
      "SELECT sealed FROM payload_part WHERE name = ? AND part = ?",
    ),
    payloadUser: one<RecordName>(
      "SELECT network, id FROM payload_use WHERE name = ? ORDER BY network, id LIMIT 1",
    ),
    putPayload: run("INSERT INTO payload (name, bytes, sealed) VALUES (?, ?, ?)"),
    putPayloadPart: run("INSERT INTO payload_part (name, part, sealed) VALUES (?, ?, ?)"),
    usePayload: run("INSERT INTO payload_use (network, id, name) VALUES (?, ?, ?)"),
    dropPayload: run("DELETE FROM payload WHERE name = ?"),
    dropPayloadParts: run("DELETE FROM payload_part WHERE name = ?"),

    forget: run("DELETE FROM removed WHERE revision <= ?"),
  };
}
