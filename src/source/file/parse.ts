/**
 * From the bytes of the file to its records: validated one by one, and only those that changed.
 *
 * What spans records (who claims which address) is the business of `load.ts`.
 */

import { isUtf8 } from "node:buffer";
import { PROBLEMS_MAX, type Problem, readYaml, type YamlDocument } from "../../config/document.ts";
import type { Path } from "../../config/field-name.ts";
import { explain, validate } from "../../config/issues.ts";
import type { Slices } from "../slices.ts";
import { type FileHead, type FileRecord, HEAD, RECORD } from "./schema.ts";
import { type Chunk, split } from "./split.ts";

/** A record and where it stands. */
export interface PlacedRecord {
  readonly record: FileRecord;
  /** Its position in the file's list, from 0. */
  readonly index: number;
  /** The line of a field of it. */
  line(path: Path): number;
}

export interface Parsed {
  readonly head: FileHead;
  readonly headLine: (path: Path) => number;
  readonly records: readonly PlacedRecord[];
  /** Not empty: then the rest is what could be understood nevertheless. */
  readonly problems: readonly Problem[];
}

/** Good records by their text. Each successful parse leaves here what the next can use. */
export type RecordCache = Map<string, FileRecord>;

export interface ParseResult extends Parsed {
  readonly cache: RecordCache;
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** Parses the file. Never throws but for the signal: what is wrong is among the problems. */
export async function parse(
  bytes: Buffer,
  known: RecordCache,
  slices: Slices,
): Promise<ParseResult> {
  if (!isUtf8(bytes))
    return failed({ line: firstBadLine(bytes), field: "", message: "is not UTF-8" });
  const text = bytes.subarray(0, 3).equals(BOM) ? bytes.subarray(3) : bytes;
  const layout = await split(text, slices);
  if (layout !== undefined) {
    const result = await parseChunks(layout.head, layout.records, known, slices);
    if (result !== undefined) return result;
  }
  return parseWhole(text.toString("utf8"), slices);
}

/** Parses record by record; `undefined` where only the whole says what a record means. */
async function parseChunks(
  head: Chunk,
  chunks: readonly Chunk[],
  known: RecordCache,
  slices: Slices,
): Promise<ParseResult | undefined> {
  const top = readYaml(head.text);
  if (!("document" in top)) return undefined;
  const value = top.document.value as { readonly instances?: unknown } | null;
  if (value?.instances !== null) return undefined;
  const problems: Problem[] = [];
  const valid = validateHead(
    { ...value, instances: chunks.map(() => null) },
    top.document,
    problems,
  );
  const records: PlacedRecord[] = [];
  const cache: RecordCache = new Map();
  for (const [index, chunk] of chunks.entries()) {
    if (slices.due()) await slices.rest();
    if (problems.length >= PROBLEMS_MAX) break;
    let record = known.get(chunk.text);
    if (record === undefined) {
      const result = readYaml(chunk.text, chunk.line);
      if (!("document" in result)) {
        if (result.unresolvedAlias) return undefined;
        problems.push(inRecord(index, result.problem));
        continue;
      }
      const list = result.document.value;
      if (!Array.isArray(list) || list.length !== 1) return undefined;
      record = validateRecord(list[0], { document: result.document, at: [0], index }, problems);
      if (record === undefined) continue;
    }
    cache.set(chunk.text, record);
    records.push({ record, index, line: (path) => lineIn(chunk, path) });
  }
  return { head: valid, headLine: top.document.line, records, problems, cache };
}

async function parseWhole(text: string, slices: Slices): Promise<ParseResult> {
  const result = readYaml(text);
  if (!("document" in result)) return failed(result.problem);
  const { document } = result;
  if (document.value === undefined || document.value === null) {
    return failed({ line: 1, field: "", message: "is empty; expected networks and instances" });
  }
  const problems: Problem[] = [];
  const head = validateHead(document.value, document, problems);
  const records: PlacedRecord[] = [];
  for (const [index, value] of head.instances.entries()) {
    if (slices.due()) await slices.rest();
    if (problems.length >= PROBLEMS_MAX) break;
    const at: Path = ["instances", index];
    const record = validateRecord(value, { document, at, index }, problems);
    if (record === undefined) continue;
    records.push({ record, index, line: (path) => document.line([...at, ...path]) });
  }
  return { head, headLine: document.line, records, problems, cache: new Map() };
}

function validateHead(value: unknown, document: YamlDocument, problems: Problem[]): FileHead {
  const result = validate(HEAD, value);
  if ("data" in result) return result.data;
  problems.push(...explain(result.issues, { document, at: [] }));
  return { instances: [] };
}

function validateRecord(
  value: unknown,
  { document, at, index }: { document: YamlDocument; at: Path; index: number },
  problems: Problem[],
): FileRecord | undefined {
  const result = validate(RECORD, value);
  if ("data" in result) return result.data;
  problems.push(...explain(result.issues, { document, at, prefix: ["instances", index] }));
  return undefined;
}

/** Asked for a line only when something is wrong, so the chunk is parsed again for it. */
function lineIn(chunk: Chunk, path: Path): number {
  const result = readYaml(chunk.text, chunk.line);
  return "document" in result ? result.document.line([0, ...path]) : chunk.line;
}

/** A chunk is a list of one: its `[0].name` is the file's `instances[7].name`. */
function inRecord(index: number, problem: Problem): Problem {
  const field = `instances[${index}]${problem.field.replace(/^\[0\]/, "")}`;
  return { ...problem, field };
}

function failed(problem: Problem): ParseResult {
  return {
    head: { instances: [] },
    headLine: () => 1,
    records: [],
    problems: [problem],
    cache: new Map(),
  };
}

function firstBadLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return line;
}
