import { expect, test } from "bun:test";
import fc from "fast-check";
import { clean } from "../model/clean.ts";
import { type Output, openOutput } from "./output.ts";

function capture(isTTY: boolean, env: Record<string, string> = {}) {
  const seen = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    isTTY,
    write: (text: string) => {
      seen[name] += text;
    },
  });
  const out: Output = openOutput(sink("stdout"), sink("stderr"), env);
  return { out, seen };
}

test("a table aligns its columns and has no spaces at line ends", () => {
  const { out, seen } = capture(false);
  out.table(["name", "address"], [["web-01", "10.1.1.57"], ["a", ""], ["b"]]);
  expect(seen.stdout).toBe("name    address\nweb-01  10.1.1.57\na\nb\n");
});

test("an empty table prints nothing", () => {
  const { out, seen } = capture(false);
  out.table(["name"], []);
  expect(seen.stdout).toBe("");
});

test("colour is for terminals, and for nobody who objects", () => {
  const check = (isTTY: boolean, env: Record<string, string>, coloured: boolean): void => {
    const { out } = capture(isTTY, env);
    expect(out.style("red", "x")).toBe(coloured ? "\u001b[31mx\u001b[39m" : "x");
  };
  check(true, {}, true);
  check(true, { NO_COLOR: "" }, true);
  check(true, { NO_COLOR: "1" }, false);
  check(true, { TERM: "dumb" }, false);
  check(false, {}, false);
  check(false, { FORCE_COLOR: "1" }, true);
  check(false, { FORCE_COLOR: "1", NO_COLOR: "1" }, false);
});

test("progress stays on one line of a terminal, goes before anything else, and is no data", () => {
  const { out, seen } = capture(true);
  out.progress("1 of 2");
  out.progress("2 of 2");
  out.note("done");
  expect(seen.stderr).toBe("\r\u001b[2K1 of 2\r\u001b[2K2 of 2\r\u001b[2Kdone\n");
  const silent = capture(false);
  silent.out.progress("1 of 2");
  silent.out.json({ a: 1 });
  expect(silent.seen).toEqual({ stdout: '{\n  "a": 1\n}\n', stderr: "" });
});

test("no text from outside moves the cursor, breaks the line or turns the direction", () => {
  expect(clean("a\u001b[2Jb\nc\u202ed")).toBe("a\\u{1b}[2Jb\\u{a}c\\u{202e}d");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(clean(text)).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    }),
  );
});
