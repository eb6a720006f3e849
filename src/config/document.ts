/**
 * YAML as this program reads it: one document, text keys, each value with the line it stands on.
 *
 * A message never quotes the file's values, because any of them may be a secret. Aliases are
 * allowed within a limit; directives, own tags and keys given twice are problems.
 */

import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from "yaml";
import { fieldName, type Path } from "./field-name.ts";

/** What is wrong at one place of a file. Lines count from 1. */
export interface Problem {
  readonly line: number;
  /** `instances[3].name`; empty for the document as a whole. */
  readonly field: string;
  readonly message: string;
}

/** Beyond so many problems a file is the wrong file, and those are not looked for. */
export const PROBLEMS_MAX = 100;

/** The problem that stands first in the file, the others counted: the whole story in one line. */
export function firstOf<T extends Problem>(problems: readonly [T, ...T[]]): T {
  const first = problems.reduce((a, b) => (b.line < a.line ? b : a));
  const others = problems.length - 1;
  const more = problems.length >= PROBLEMS_MAX ? `${others} or more others` : `${others} more`;
  return others === 0 ? first : { ...first, message: `${first.message} (and ${more})` };
}

export interface YamlDocument {
  /** Plain objects, arrays and scalars; objects have no prototype. Values of aliases are shared. */
  readonly value: unknown;
  /** The line of the value at `path`, or of the nearest thing above it that exists. */
  line(path: Path): number;
}

export type YamlResult =
  | { readonly document: YamlDocument }
  | { readonly problem: Problem; readonly unresolvedAlias: boolean };

/** So many values may come from aliases: a lab's defaults stay far below, a bomb does not. */
const ALIASED_VALUES_MAX = 100_000;

/** Parses `text`. `firstLine` is the line of the file on which the text begins. */
export function readYaml(text: string, firstLine = 1): YamlResult {
  const lines = new LineCounter();
  const line = (offset: number): number => Math.max(lines.linePos(offset).line, 1) + firstLine - 1;
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      // The library compares each key with each other one; `Walk` needs one pass.
      uniqueKeys: false,
      logLevel: "error",
    });
    const flaw = document.errors[0] ?? document.warnings[0];
    if (flaw !== undefined) throw new Flaw(describe(flaw.code), openedAt(document, flaw.pos[0]));
    if (document.directives?.yaml.explicit === true) throw new Flaw("directives are not read", 0);
    const root = document.contents;
    const value = root === null ? undefined : new Walk().value(root, []);
    return {
      document: { value, line: (path) => line(root === null ? 0 : offsetOf(root, path)) },
    };
  } catch (error) {
    const flaw = error instanceof Flaw ? error : undefined;
    // Anything else is the library's own limit, as when its recursion runs out of stack.
    const message = flaw?.message ?? "cannot be read as YAML; is it nested too deeply?";
    return {
      problem: { line: line(flaw?.offset ?? 0), field: fieldName(flaw?.path ?? []), message },
      unresolvedAlias: flaw?.unresolvedAlias ?? false,
    };
  }
}

class Flaw extends Error {
  readonly offset: number;
  readonly path: Path;
  readonly unresolvedAlias: boolean;

  constructor(message: string, offset: number, path: Path = [], unresolvedAlias = false) {
    super(message);
    this.offset = offset;
    this.path = path;
    this.unresolvedAlias = unresolvedAlias;
  }
}

/** Turns nodes into values, in document order, so that an alias only ever sees what precedes it. */
class Walk {
  readonly #anchors = new Map<string, { readonly value: unknown; readonly count: number }>();
  #count = 0;
  #aliased = 0;

  value(node: ParsedNode, path: Path): unknown {
    if (isAlias(node)) return this.#alias(node.source, node.range[0], path);
    const before = this.#count;
    this.#count++;
    const value = this.#own(node, path);
    const anchor = node.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, { value, count: this.#count - before });
    return value;
  }

  #own(node: ParsedNode, path: Path): unknown {
    if (isScalar(node)) return node.value;
    if (isSeq(node)) {
      return node.items.map((item, index) => this.value(item as ParsedNode, [...path, index]));
    }
    const result: Record<string, unknown> = Object.create(null);
    if (!isMap(node)) return result;
    for (const { key, value } of node.items) {
      const offset = (key as ParsedNode).range[0];
      if (!isScalar(key) || typeof key.value !== "string") {
        throw new Flaw("a key must be plain text", offset, path);
      }
      const name = key.value;
      const here = [...path, name];
      // What reads the values afterwards passes over this name; better to say so.
      if (name === "__proto__") throw new Flaw("is not possible as a key", offset, here);
      if (name in result) throw new Flaw("the same key is given twice", offset, here);
      result[name] = value === null ? null : this.value(value as ParsedNode, here);
    }
    return result;
  }

  #alias(name: string, offset: number, path: Path): unknown {
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) {
      throw new Flaw("an alias (*) must come after its anchor (&)", offset, path, true);
    }
    this.#aliased += anchor.count;
    this.#count += anchor.count;
    if (this.#aliased > ALIASED_VALUES_MAX) {
      throw new Flaw("aliases stand for too many values", offset, path);
    }
    return anchor.value;
  }
}

/** Where the quote or bracket opened that is missing its end at `offset`; else `offset`. */
function openedAt(document: Document, offset: number): number {
  let opened = offset;
  visit(document, {
    Node: (_key, node) => {
      const [start, end] = node.range ?? [offset, offset];
      const closes = isCollection(node) ? node.flow === true : isScalar(node) && isQuoted(node);
      if (closes && start < offset && end >= offset) opened = Math.min(opened, start);
    },
  });
  return opened;
}

function isQuoted(node: Scalar): boolean {
  return node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE";
}

/** Where `path` begins: at its key in a mapping, at the item in a list. */
function offsetOf(root: ParsedNode, path: Path): number {
  let node: ParsedNode | null = root;
  let offset = root.range[0];
  for (const part of path) {
    if (isSeq(node)) {
      const item = node.items[Number(part)] as ParsedNode | undefined;
      if (item === undefined) return offset;
      node = item;
      offset = item.range[0];
    } else if (isMap(node)) {
      const pair: YAMLMap.Parsed["items"][number] | undefined = node.items.find(
        ({ key }) => isScalar(key) && key.value === part,
      );
      if (pair === undefined) return offset;
      node = pair.value;
      offset = (pair.key as ParsedNode).range[0];
    } else return offset;
  }
  return offset;
}

/** Our words for the library's codes: its own messages quote the file. */
function describe(code: string): string {
  return SYNTAX[code] ?? "is not valid YAML";
}

const SYNTAX: Readonly<Record<string, string>> = {
  BAD_DIRECTIVE: "directives are not read",
  BAD_DQ_ESCAPE: "text in double quotes has an unknown escape; use single quotes",
  BAD_INDENT: "the indentation is wrong, or a bracket is not closed",
  BAD_SCALAR_START: "plain text cannot begin with this character; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " stands on one line; put the text in quotes',
  BLOCK_IN_FLOW: "a list with dashes cannot stand within brackets",
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  MISSING_CHAR: 'a quote, a bracket, a comma or a ":" is missing',
  MULTILINE_IMPLICIT_KEY: 'a key spans lines; is a ":" missing?',
  MULTIPLE_DOCS: 'the file has more than one document ("---")',
  NON_STRING_KEY: "a key must be plain text",
  TAB_AS_INDENT: "a tab cannot indent; use spaces",
  TAG_RESOLVE_FAILED: "a tag (!) is not known; put the text in quotes",
  UNEXPECTED_TOKEN: "something stands where YAML allows nothing; check the indentation and quotes",
};
