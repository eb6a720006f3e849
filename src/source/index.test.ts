import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UsageError } from "../model/errors.ts";
import { parseSource } from "./index.ts";

test("parseSource() takes the word before the first colon as the source", () => {
  expect(parseSource("file:lab.yaml")).toEqual({ scheme: "file", location: "lab.yaml" });
  expect(parseSource("file:/a:b")).toEqual({ scheme: "file", location: "/a:b" });
  expect(parseSource("databag:/etc/cloudstack").scheme).toBe("databag");
});

test("parseSource() says which sources there are", () => {
  check("lab.yaml", 'not a source: "lab.yaml"; write databag:PATH or file:PATH');
  check("", 'not a source: ""; write databag:PATH or file:PATH');
  check(":x", 'not a source: ":x"; write databag:PATH or file:PATH');
  check("flie:x", 'no such source: "flie"; did you mean "file"?');
  check("http://x", 'no such source: "http"; write databag:PATH or file:PATH');
  check("constructor:x", 'no such source: "constructor"; write databag:PATH or file:PATH');
  check("file:", "file: says no path; write file:PATH");
});

// Goal: a router on databags starts without the YAML and schema libraries, which cost 50 ms.
// Method: follow the imports that are not dynamic.
test("the table of sources loads neither a source nor a library", () => {
  const seen = staticImports(join(import.meta.dir, "index.ts"));
  expect([...seen].filter((name) => !name.startsWith("node:")).sort()).toEqual(
    ["src/config/nearest.ts", "src/model/errors.ts", "src/source/index.ts"].map((path) =>
      resolve(import.meta.dir, "../..", path),
    ),
  );
});

function staticImports(path: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  if (!path.endsWith(".ts")) return seen;
  const text = readFileSync(path, "utf8");
  for (const [, clause = "", from = ""] of text.matchAll(/^import ([^;]*?)from "([^"]+)"/gms)) {
    if (clause.startsWith("type ")) continue;
    staticImports(from.startsWith(".") ? resolve(dirname(path), from) : from, seen);
  }
  return seen;
}

function check(text: string, message: string): void {
  expect(() => parseSource(text)).toThrow(UsageError);
  expect(() => parseSource(text)).toThrow(message);
}
