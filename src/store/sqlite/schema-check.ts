/**
 * Whether a file has the tables that our migrations make, and nothing else.
 *
 * Records are sealed, the file is not: whoever may write it could put a view, a trigger or an
 * expression there whose work never ends, and whoever reads such a table would not come back.
 */

import { quote, StoreError } from "../../model/errors.ts";
import { type Database, openDatabase } from "./database.ts";
import { checkFormat, MIGRATIONS } from "./schema.ts";

/** More tables and indexes than any version will have. */
const TEXTS_MAX = 200;

/** What `ANALYZE` leaves: figures for SQLite's own planning. */
const ANALYZED: ReadonlySet<string> = new Set([
  "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
  "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
]);

/** A column that is stored, and that nothing is computed for. */
const TYPED = /(?<=\(|, )\w+ (?:ANY|BLOB|INTEGER|REAL|TEXT)(?: PRIMARY KEY)?(?: NOT NULL)?/;
const DEFAULT = /(?: DEFAULT (?:\d+|'[^'()]*'))?(?:, |(?=\)))/;
const COLUMN: RegExp = new RegExp(TYPED.source + DEFAULT.source, "g");

/** Of a table, what is left without such columns; and an index of columns. */
const PLAIN: readonly RegExp[] = [
  /^CREATE TABLE \w+ \((?:PRIMARY KEY \(\w+(?:, \w+)*\))?\) STRICT(?:, WITHOUT ROWID)?$/,
  /^CREATE (?:UNIQUE )?INDEX \w+ ON \w+ \(\w+(?:, \w+)*\)(?: WHERE \w+ IS NOT NULL)?$/,
];

interface Shape {
  readonly columns: readonly string[];
  readonly rest: string;
}

/**
 * @returns what is called in each transaction before anything else is read or written. It looks
 *   again whenever the tables have changed, and throws STORE_UNREADABLE or STORE_FORMAT.
 */
export function schemaCheck(database: Database, path: string): () => void {
  const counter = database.prepare("PRAGMA schema_version");
  let checked: unknown;
  return () => {
    const now = counter.get()?.schema_version;
    if (now === checked) return;
    const trouble = troubleOf(textsOf(database), checkFormat(database, path));
    if (trouble !== undefined) {
      throw new StoreError("STORE_UNREADABLE", `${path} is damaged: ${trouble}`);
    }
    checked = now;
  };
}

function troubleOf(texts: readonly string[], version: number): string | undefined {
  if (texts.length === TEXTS_MAX) return `it has more than ${TEXTS_MAX - 1} tables`;
  const known = textsOfVersion(Math.min(version, MIGRATIONS.length));
  const isNewer = version > MIGRATIONS.length;
  const isSame = (known: string, text: string): boolean =>
    known === text || (isNewer && isWidened(shapeOf(known), shapeOf(text)));
  const missing = known.find((one) => !texts.some((text) => isSame(one, text)));
  if (missing !== undefined) return `it lacks ${quote(missing)}`;
  const strange = texts.find((text) => {
    if (ANALYZED.has(text) || known.some((one) => isSame(one, text))) return false;
    return !isNewer || !PLAIN.some((plain) => plain.test(shapeOf(text).rest));
  });
  return strange === undefined ? undefined : `no store has ${quote(strange)}`;
}

/** Whether a table has columns that are new, and is else what it was. */
function isWidened(before: Shape, after: Shape): boolean {
  if (before.rest !== after.rest) return false;
  return before.columns.every((column) => after.columns.includes(column));
}

function shapeOf(text: string): Shape {
  if (!text.startsWith("CREATE TABLE ")) return { columns: [], rest: text };
  const columns = (text.match(COLUMN) ?? []).map((column) => column.replace(/, $/, ""));
  return { columns, rest: text.replace(COLUMN, "") };
}

const ofVersions = new Map<number, readonly string[]>();

function textsOfVersion(version: number): readonly string[] {
  const known = ofVersions.get(version);
  if (known !== undefined) return known;
  const database = openDatabase(":memory:");
  try {
    for (const step of MIGRATIONS.slice(0, version)) database.exec(step);
    const texts = textsOf(database);
    ofVersions.set(version, texts);
    return texts;
  } finally {
    database.close();
  }
}

/** Indexes without a text belong to a key, which stands in the text of its table. */
function textsOf(database: Database): readonly string[] {
  const sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL LIMIT ?";
  const rows = database.prepare(sql).all(TEXTS_MAX);
  return rows.map(({ sql }) => tidy(String(sql)));
}

/** As SQLite reads it, however the lines are broken. */
function tidy(sql: string): string {
  const spaced = sql.replace(/[ \t\n\f\r]+/g, " ");
  return spaced.replace(/(?<=\() | (?=[,)])/g, "");
}
