/**
 * Rules about the source itself that no compiler checks.
 *
 * A folder may import from the folders on lines above its own, and from itself.
 */

import { test } from "bun:test";
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";

const LAYERS = [
  ["model"],
  ["protocol", "observe", "platform", "config"],
  ["store", "source"],
  ["router", "bridge", "controller", "guest"],
  ["cli"],
];
const LINES_MAX = 400;
const COLUMNS_MAX = 100;

/** Layers that do no IO and read no clock: what they may import from the runtime. */
const PURE = ["model", "protocol"];
const PURE_IMPORTS = ["node:net", "node:crypto", "node:assert/strict", "ip-address"];
const IMPURE =
  /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|setInterval|process\.|Bun\.|fetch\()/;

const files = globSync("src/**/*.ts").map((path) => ({ path, text: readFileSync(path, "utf8") }));
const sources = files.filter(({ path }) => !path.endsWith(".test.ts"));

test("imports point down the layers, never up or across", () => {
  const level = (name: string): number => LAYERS.findIndex((names) => names.includes(name));
  for (const { path, text } of files) {
    const from = path.split("/")[1] ?? "";
    assert.notEqual(level(from), -1, `${path}: "${from}" has no layer`);
    for (const [, to = ""] of text.matchAll(/(?:from|import\() ?"(?:\.\.\/)+([a-z]+)\//g)) {
      if (level(to) === -1) continue; // A folder of the same layer, or outside src.
      const ok = to === from || level(to) < level(from);
      assert.ok(ok, `${path}: ${from} may not import ${to}`);
    }
  }
});

test("the pure layers do no IO and read no clock", () => {
  for (const { path, text } of sources.filter(({ path }) =>
    PURE.includes(path.split("/")[1] ?? ""),
  )) {
    for (const [, name = ""] of text.matchAll(/from "([^."][^"]*)"/g)) {
      assert.ok(PURE_IMPORTS.includes(name), `${path}: a pure layer may not import ${name}`);
    }
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    assert.doesNotMatch(code, IMPURE, `${path}: a pure layer may not reach the outside`);
  }
});

test("only platform starts programs, only the rims know the runtime", () => {
  for (const { path, text } of sources) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    if (!path.startsWith("src/platform/")) {
      assert.doesNotMatch(code, /node:child_process/, `${path}: only src/platform starts programs`);
    }
    if (!path.startsWith("src/router/http/")) {
      assert.doesNotMatch(code, /\bBun\.|"bun"/, `${path}: only the rims know the runtime`);
    }
  }
});

test("every file says what it is for, and fits in a sitting", () => {
  for (const { path, text } of sources) {
    assert.match(text, /^(#!.*\n)?\/\*\*/, `${path}: no header comment`);
    const lines = text.split("\n");
    assert.ok(lines.length <= LINES_MAX, `${path}: longer than ${LINES_MAX} lines`);
    // A table has a line for each thing, however long; the formatter leaves imports long too.
    const isTable = text.includes("biome-ignore format");
    lines.forEach((line, index) => {
      if ((isTable && line.endsWith(",")) || /^import .* (from|with) /.test(line)) return;
      assert.ok(line.length <= COLUMNS_MAX, `${path}:${index + 1}: over ${COLUMNS_MAX} columns`);
    });
  }
});

test("the change log has a place for what is not released yet", () => {
  assert.match(readFileSync("CHANGELOG.md", "utf8"), /^## Unreleased$/m);
});
