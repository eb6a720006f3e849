/**
 * What a person or a program sees of a command: data on stdout, everything else on stderr.
 *
 * Text that came from outside (names, paths, addresses) goes through `clean`, so that nobody's
 * instance name can move another one's cursor. Colour is for terminals and follows NO_COLOR.
 */

import * as util from "node:util";
import { clean } from "../model/clean.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** The part of a stream that is used; tests pass their own. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Output {
  /** A line of data, on stdout. */
  print(line: string): void;
  /** A value as indented JSON, on stdout. */
  json(value: unknown): void;
  /** Columns aligned, on stdout; an empty table prints nothing. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
  /** A line for people, on stderr. */
  note(line: string): void;
  /** Replaces the last progress line when stderr is a terminal; prints nothing otherwise. */
  progress(line: string): void;
  /** The text, coloured when stdout is a terminal and nobody objects. */
  style(style: Style, text: string): string;
}

/** Starts the line anew and clears it. */
const ERASE_LINE = "\r\u001b[2K";
const GAP = "  ";

export function openOutput(
  stdout: Sink,
  stderr: Sink,
  env: Readonly<Record<string, string | undefined>>,
): Output {
  const colour = wantsColour(stdout, env);
  let progressShown = false;
  const endProgress = (): void => {
    if (progressShown) stderr.write(ERASE_LINE);
    progressShown = false;
  };
  const print = (line: string): void => {
    endProgress();
    stdout.write(`${line}\n`);
  };
  const style = (name: Style, text: string): string => (colour ? paint(name, text) : text);
  return {
    print,
    json: (value) => print(JSON.stringify(value, undefined, 2)),
    table: (head, rows) => {
      for (const line of layOut(head, rows, style)) print(line);
    },
    note: (line) => {
      endProgress();
      stderr.write(`${line}\n`);
    },
    progress: (line) => {
      if (stderr.isTTY !== true) return;
      stderr.write(`${ERASE_LINE}${clean(line)}`);
      progressShown = true;
    },
    style,
  };
}

function layOut(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  style: (style: Style, text: string) => string,
): string[] {
  if (rows.length === 0) return [];
  const cells = rows.map((row) => head.map((_, column) => clean(row[column] ?? "")));
  const widths = head.map((title, column) =>
    cells.reduce((width, row) => Math.max(width, (row[column] ?? "").length), title.length),
  );
  const join = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd();
  return [style("bold", join(head)), ...cells.map(join)];
}

/** @see https://no-color.org: set and not empty means no colour. */
function wantsColour(stdout: Sink, env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return false;
  if ((env.FORCE_COLOR ?? "0") !== "0") return true;
  return stdout.isTTY === true;
}

/** Node 18 has no `styleText`: there the text stays plain. */
function paint(name: Style, text: string): string {
  const styleText = util.styleText as typeof util.styleText | undefined;
  // Whether there is a terminal was decided already, for the stream that is written to.
  return styleText === undefined ? text : styleText(name, text, { validateStream: false });
}
