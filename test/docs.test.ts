/**
 * What the documentation says of tables in the code is made from them. To write it anew:
 * `FRONTDESK_UPDATE=1 bun test test/docs.test.ts`.
 */

import { expect, test } from "bun:test";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { CONDITIONS } from "../src/observe/conditions.ts";
import { METRICS } from "../src/observe/metrics.ts";
import { KEYS } from "../src/protocol/keys.ts";
import { CHECKS } from "../src/router/doctor/checks/index.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|");

test("docs/guests.md has every key", () => {
  const rows = Object.entries(KEYS).map(
    ([name, { about, example }]) => `| \`${name}\` | ${cell(about)} | \`${cell(example)}\` |`,
  );
  check("docs/guests.md", "keys", ["| key | is | for example |", "|---|---|---|", ...rows]);
});

test("docs/operators.md has every condition and every metric", () => {
  const conditions = Object.entries(CONDITIONS).map(
    ([code, { severity, title, advice }]) =>
      `| \`${code}\` | ${severity} | ${cell(title)} | ${cell(advice)} |`,
  );
  const head = ["| code | severity | what is wrong | what to do |", "|---|---|---|---|"];
  check("docs/operators.md", "conditions", [...head, ...conditions]);
  const metrics = Object.entries<{ help: string; labels?: readonly string[] }>(METRICS).map(
    ([name, { help, labels = [] }]) => `| \`${name}\` | ${labels.join(", ")} | ${cell(help)} |`,
  );
  check("docs/operators.md", "metrics", ["| metric | labels | is |", "|---|---|---|", ...metrics]);
});

test("docs/operators.md has every check of the router's doctor, and what it can find", () => {
  const checks = CHECKS.map(({ name, title }) => `| \`${name}\` | ${cell(title)} |`);
  check("docs/operators.md", "doctor-checks", ["| check | is it so? |", "|---|---|", ...checks]);
  // Conditions have a table of their own.
  const findings = CHECKS.flatMap(({ kinds }) => Object.entries(kinds))
    .filter(([code]) => !(code in CONDITIONS))
    .map(
      ([code, { severity, title, advice }]) =>
        `| \`${code}\` | ${severity} | ${cell(title)} | ${cell(advice)} |`,
    );
  const head = ["| code | severity | what is wrong | what to do |", "|---|---|---|---|"];
  check("docs/operators.md", "doctor-findings", [...head, ...findings]);
});

test("every link in the documentation leads somewhere", () => {
  const pages = [...globSync("*.md"), ...globSync("{docs,bench,packaging}/**/*.md")];
  for (const page of pages) {
    for (const [, target = ""] of readFileSync(page, "utf8").matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const path = normalize(join(dirname(page), target));
      expect(globSync([path, path.replace(/\/$/, "")]).length, `${page} -> ${target}`).not.toBe(0);
    }
  }
});

/** Compares what stands between `<!-- name: … -->` and `<!-- /name -->`, or writes it. */
function check(path: string, name: string, lines: readonly string[]): void {
  const text = readFileSync(path, "utf8");
  const pattern = new RegExp(`(<!-- ${name}: [^>]*-->\n)([\\s\\S]*?)(<!-- /${name} -->)`);
  expect(text).toMatch(pattern);
  const wanted = text.replace(pattern, (_, before, _old, after) => {
    return `${before}\n${lines.join("\n")}\n\n${after}`;
  });
  if (process.env.FRONTDESK_UPDATE === "1") writeFileSync(path, wanted);
  else expect(text).toBe(wanted);
}
