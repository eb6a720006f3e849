/**
 * What docs/guest-doctor.md says of the checks is made from their table. To write it anew:
 * `FRONTDESK_UPDATE=1 bun test test/guest/doctor-docs.test.ts`.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { CHECKS } from "../../src/guest/doctor/checks/index.ts";
import { WIRE_KINDS } from "../../src/guest/doctor/wire.ts";

const PAGE = "docs/guest-doctor.md";

test("docs/guest-doctor.md has every check", () => {
  const rows = CHECKS.map(({ name, title }) => `| \`${name}\` | ${title} |`);
  check("checks", ["| check | is it so? |", "|---|---|", ...rows]);
});

test("docs/guest-doctor.md has every finding", () => {
  const rows = CHECKS.flatMap(({ kinds }) =>
    Object.entries(kinds).map(
      ([code, { severity, where, title, advice }]) =>
        `| \`${code}\` | ${severity} | ${where} | ${title} | ${advice} |`,
    ),
  );
  const head = [
    "| code | severity | where | what is wrong | what to do |",
    "|---|---|---|---|---|",
  ];
  check("findings", [...head, ...rows]);
});

test("docs/guest-doctor.md has all that a capture may show", () => {
  const rows = Object.entries(WIRE_KINDS).map(
    ([code, { where, title, advice }]) => `| \`${code}\` | ${where} | ${title} | ${advice} |`,
  );
  check("wire", ["| code | where | what was seen | what to do |", "|---|---|---|---|", ...rows]);
});

/** Compares what stands between `<!-- name: … -->` and `<!-- /name -->`, or writes it. */
function check(name: string, lines: readonly string[]): void {
  const text = readFileSync(PAGE, "utf8");
  const pattern = new RegExp(`(<!-- ${name}: [^>]*-->\n)([\\s\\S]*?)(<!-- /${name} -->)`);
  expect(text).toMatch(pattern);
  const wanted = text.replace(
    pattern,
    (_, before, _old, after) => `${before}\n${lines.join("\n")}\n\n${after}`,
  );
  if (process.env.FRONTDESK_UPDATE === "1") writeFileSync(PAGE, wanted);
  else expect(text).toBe(wanted);
}
