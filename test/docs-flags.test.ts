/**
 * What the documentation says to type can be typed: each flag of a `frontdesk` command is in the
 * table of commands, and each variable and setting is one that something reads.
 */

import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import type { Command, Entry } from "../src/cli/command.ts";
import { commands } from "../src/cli/commands/index.ts";
import { SETTINGS } from "../src/config/settings.ts";

const PAGES = [
  ...["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"],
  ...globSync("{docs,packaging,bench}/**/*.{md,service,timer,conf,yaml}"),
];

/** What every command has. */
const COMMON = ["-h", "--help", "-V", "--version"];

/** A setting, its flag and its variable. */
const ROW = /^\| `(\w+)` \| `(--[\w-]+)` \| `(\w+)` \|/gm;

interface Node {
  readonly flags: ReadonlySet<string>;
  readonly commands: ReadonlyMap<string, Node>;
}

const ROOT: Node = await node(undefined, commands);

test("every flag of a command line in the documentation is one that the command has", () => {
  const lines = PAGES.flatMap((page) => linesOf(page).map((line) => ({ page, line })));
  const wrong = lines.flatMap(({ page, line }) => unknownFlags(line).map((flag) => [page, flag]));
  expect(wrong).toEqual([]);
  // The rule sees them at all.
  expect(lines.filter(({ line }) => line.includes(" --")).length).toBeGreaterThan(20);
  const cases: readonly (readonly [line: string, unknown: readonly string[]])[] = [
    ["frontdesk router --stoer sqlite:x --listen auto", ["router --stoer"]],
    ["bin/frontdesk why --ip 1 | jq --raw-output x; frontdesk router --nope=1", ["router --nope"]],
    ["frontdesk router firewall --apply --cache-dir x", ["router firewall --cache-dir"]],
    ["frontdesk-guest cache --follow --on-change 'x --y'", []],
    ["/usr/local/bin/frontdesk-guest cache --apply", ["guest cache --apply"]],
    ["frontdesk --hosts any", [" --hosts"]],
  ];
  for (const [line, unknown] of cases) expect(unknownFlags(line)).toEqual([...unknown]);
});

test("every flag that the documentation names belongs to some command", () => {
  const known = new Set(flagsBelow(ROOT));
  // The benchmark has flags of its own.
  const named = PAGES.filter((page) => !page.startsWith("bench/")).flatMap((page) =>
    spansOf(page).flatMap((span) => {
      const words = span.replace(/'[^']*'|"[^"]*"/g, "").split(/[\s·]+/);
      if (!/^--[a-z]/.test(span)) return [];
      return words.filter((word) => /^--[a-z]/.test(word)).map((word) => [page, bare(word)]);
    }),
  );
  expect(named.filter(([, flag = ""]) => !known.has(flag))).toEqual([]);
  expect(named.length).toBeGreaterThan(50);
});

test("the table of settings is the program's own", () => {
  const rows = [...readFileSync("docs/formats/config.md", "utf8").matchAll(ROW)];
  const expected = Object.entries(SETTINGS).map(([name, { flag, env }]) => [name, flag, env]);
  expect(rows.map(([, ...cells]) => cells)).toEqual(expected);
});

test("every FRONTDESK_ variable in the documentation is one that something reads", () => {
  const code = globSync("{src,scripts,bin,test,bench}/**/*", { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".md"))
    .map(({ parentPath, name }) => readFileSync(`${parentPath}/${name}`, "utf8"))
    .join("\n");
  const flags = new Set(flagsBelow(ROOT));
  for (const page of PAGES) {
    for (const [name] of readFileSync(page, "utf8").matchAll(/\bFRONTDESK_[A-Z_]*[A-Z]\b/g)) {
      const flag = `--${name.slice("FRONTDESK_".length).toLowerCase().replaceAll("_", "-")}`;
      expect([page, name, flags.has(flag) || code.includes(name)]).toEqual([page, name, true]);
    }
  }
});

async function node(command: Command | undefined, entries: readonly Entry[]): Promise<Node> {
  const flags = (command?.options ?? []).flatMap(({ flags }) =>
    flags.split(/,\s*/).map((form) => form.split(" ", 1)[0] ?? ""),
  );
  const children = await Promise.all(
    entries.map(async (entry): Promise<[string, Node]> => {
      const loaded = (await entry.load())[entry.name];
      return [entry.name, await node(loaded, loaded?.commands ?? [])];
    }),
  );
  return { flags: new Set([...COMMON, ...flags]), commands: new Map(children) };
}

function flagsBelow({ flags, commands }: Node): string[] {
  return [...flags, ...[...commands.values()].flatMap(flagsBelow)];
}

/** The flags of the `frontdesk` commands in a line that they do not have, after the command. */
function unknownFlags(line: string): string[] {
  const unquoted = line.replace(/'[^']*'|"[^"]*"/g, "''");
  const calls = unquoted.matchAll(/(?:^|[\s(/])frontdesk(-guest)?(?:\.mjs)?((?: [^|;&)#]*)?)/g);
  return [...calls].flatMap(([, guest, rest = ""]) => {
    const path: string[] = [];
    let at = ROOT;
    const words = [...(guest === undefined ? [] : ["guest"]), ...rest.trim().split(/\s+/)];
    for (const word of words) {
      const next = at.commands.get(word);
      if (next === undefined) break;
      path.push(word);
      at = next;
    }
    return words
      .filter((word) => /^--?[A-Za-z]/.test(word) && !at.flags.has(bare(word)))
      .map((word) => `${path.join(" ")} ${bare(word)}`);
  });
}

function bare(word: string): string {
  return word.replace(/[=,.:…].*$/, "");
}

/** The lines of a page on which something may be typed, those that go on in one piece. */
function linesOf(page: string): string[] {
  const text = readFileSync(page, "utf8").replace(/\\\n\s*/g, " ");
  if (!page.endsWith(".md")) return text.split("\n");
  const blocks = [...text.matchAll(/```\w*\n(.*?)```/gs)].map(([, block = ""]) => block);
  return [...blocks.flatMap((block) => block.split("\n")), ...spansOf(page)];
}

/** What stands between single backticks. */
function spansOf(page: string): string[] {
  const text = readFileSync(page, "utf8").replace(/```.*?```/gs, "");
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
}
