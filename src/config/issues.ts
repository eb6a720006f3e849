/**
 * From zod's issues to sentences that an operator can act on: the line, the field, what is wrong.
 *
 * Zod's own messages speak of types and quote input. These speak of text, lists and fields, and
 * never repeat a value, because any value may be a secret.
 */

import { type core, z } from "zod";
import { PROBLEMS_MAX, type Problem, type YamlDocument } from "./document.ts";
import { fieldName, type Path } from "./field-name.ts";
import { didYouMean } from "./nearest.ts";

/** How a message about an absent field begins, here and in the schemas' own checks. */
export const MISSING = "is missing";

/** A mapping with the fields of `shape` and no others, which suggests the one that was meant. */
export function fields<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    // One line for each key: zod has one message for all of them, `explain` takes it apart.
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => `there is no such field${didYouMean(key, known)}`).join("\n")
        : undefined,
  });
}

/** Validates `value`, with what `explain` needs where it is refused. */
export function validate<T>(
  schema: z.ZodType<T>,
  value: unknown,
): { readonly data: T } | { readonly issues: readonly core.$ZodIssue[] } {
  const result = schema.safeParse(value);
  if (result.success) return { data: result.data };
  // The input is reported only now, because most values are good and it costs a third more.
  return { issues: schema.safeParse(value, { reportInput: true }).error?.issues ?? [] };
}

/** Where a value that was validated stands in its file. */
export interface Placed {
  readonly document: YamlDocument;
  /** What leads to the value within the document, and within the file where that is more. */
  readonly at: Path;
  readonly prefix?: Path;
}

/**
 * Describes the issues, at most `PROBLEMS_MAX` of them. A misspelt field is one problem: that the
 * one that was meant is missing goes without saying.
 */
export function explain(issues: readonly core.$ZodIssue[], placed: Placed): Problem[] {
  const all = issues.flatMap((issue) => flatten(issue, [])).slice(0, PROBLEMS_MAX);
  const meant = new Set(
    all.flatMap(({ path, message }) => {
      const name = /did you mean "(.+)"\?$/.exec(message)?.[1];
      return name === undefined ? [] : [fieldName([...path.slice(0, -1), name])];
    }),
  );
  const told = new Set<string>();
  return all
    .filter(({ path, message }) => {
      const name = fieldName(path);
      if (told.has(name) || (message.startsWith(MISSING) && meant.has(name))) return false;
      // A field that is wrong in two ways is one problem too.
      return told.add(name);
    })
    .map(({ path, message }) => ({
      line: placed.document.line([...placed.at, ...path]),
      field: fieldName([...(placed.prefix ?? placed.at), ...path]),
      message,
    }));
}

interface Explained {
  readonly path: Path;
  readonly message: string;
}

function flatten(issue: core.$ZodIssue, above: Path): Explained[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case "invalid_type":
      return [{ path, message: wrongType([issue.expected], issue.input) }];
    case "unrecognized_keys": {
      const messages = issue.message.split("\n");
      return issue.keys.map((key, index) => ({
        path: [...path, key],
        message: messages[index] ?? "there is no such field",
      }));
    }
    case "invalid_union":
      return union(issue, path);
    case "invalid_key":
      return issue.issues.map(({ message }) => ({ path, message }));
    case "invalid_value":
      return [{ path, message: `expected one of ${issue.values.map(String).join(", ")}` }];
    case "too_big":
      return [{ path, message: `${size(issue.origin, issue.maximum)} at most` }];
    case "too_small": {
      const empty = issue.minimum === 1 && issue.origin !== "number";
      return [
        { path, message: empty ? "is empty" : `${size(issue.origin, issue.minimum)} at least` },
      ];
    }
    default:
      return [{ path, message: issue.message }];
  }
}

/** The form that the writer chose is the one whose type fits; its problems are what matters. */
function union(issue: core.$ZodIssueInvalidUnion, path: Path): Explained[] {
  const expected: string[] = [];
  for (const issues of issue.errors) {
    const first = issues[0];
    if (first?.code === "invalid_type" && first.path.length === 0) expected.push(first.expected);
    else if (first !== undefined) return issues.flatMap((inner) => flatten(inner, path));
  }
  return [{ path, message: wrongType(expected, issue.input) }];
}

function wrongType(expected: readonly string[], input: unknown): string {
  if (input === undefined) return MISSING;
  const wanted = [...new Set(expected.map((type) => WORDS[type] ?? type))].join(" or ");
  const found = input === null ? "nothing" : Array.isArray(input) ? "a list" : WORDS[typeof input];
  const quotes = expected.includes("string") && ["number", "boolean"].includes(typeof input);
  return `expected ${wanted}, found ${found}${quotes ? "; put it in quotes" : ""}`;
}

const WORDS: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  null: "nothing",
  number: "a number",
  object: "a mapping",
  record: "a mapping",
  string: "text",
  tuple: "a list",
};

function size(origin: string, count: number | bigint): string {
  const unit = origin === "string" ? " characters" : origin === "array" ? " entries" : "";
  return `must be ${count}${unit}`;
}
