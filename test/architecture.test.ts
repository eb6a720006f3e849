/**
 * ARCHITECTURE.md speaks of files and tests that exist: a map that is wrong is worse than none.
 */

import { expect, test } from "bun:test";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const text = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");

test("every path that ARCHITECTURE.md names is there", () => {
  const paths = [...text.matchAll(/`((?:src|test|bench|docs|scripts|bin|packaging)\/[^`]*)`/g)];
  expect(paths.length).toBeGreaterThan(20);
  for (const [, path = ""] of paths)
    expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
});

test("every test that holds an invariant is there, under that name", () => {
  const rows = text.split("\n").filter((line) => /^\| .* \| `.*"/.test(line));
  expect(rows.length).toBeGreaterThan(10);
  for (const [, path = "", name = ""] of rows.join("\n").matchAll(/`([^`]+\.ts)`: "([^"]+)"/g)) {
    const tests = readFileSync(join(ROOT, path), "utf8");
    expect([path, name, tests.includes(name)]).toEqual([path, name, true]);
  }
});

test("every folder of the source is on the map", () => {
  for (const name of readdirSync(join(ROOT, "src"))) {
    if (globSync(`src/${name}/**/*.ts`, { cwd: ROOT }).length === 0) continue;
    expect([name, text.includes(`| \`src/${name}/\` |`)]).toEqual([name, true]);
  }
});
