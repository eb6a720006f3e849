import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { quoted, variablesOf } from "./shell.ts";
import type { Tree } from "./tree.ts";

test("keys become names that a shell takes", () => {
  check(
    { "local-hostname": "web-01", placement: { "availability-zone": "z" } },
    {
      M_LOCAL_HOSTNAME: "web-01",
      M_PLACEMENT_AVAILABILITY_ZONE: "z",
    },
  );
});

test("a user's key never takes the place of a cloud's", () => {
  check(
    { instance_id: "evil", "instance-id": "i-1", "INSTANCE.ID": "evil" },
    { M_INSTANCE_ID: "i-1" },
  );
});

test("a value with a NUL is left out, because no shell can hold it", () => {
  const { variables, leftOut } = variablesOf({ a: "x\0y" }, "M_");
  expect([variables, leftOut]).toEqual([[], ["a: its value has a NUL"]]);
});

// Goal: eval sets what was meant and does nothing else. Method: real shells, any values.
test("eval of the lines sets exactly the values, in every shell", () => {
  const evil = fc.constantFrom(
    "'",
    "\\",
    "$(exit 9)",
    "`exit 9`",
    "\n",
    '"',
    ";",
    "!!",
    "$IFS",
    "\u001b]0;x\u0007",
  );
  const value = fc
    .array(fc.oneof(evil, fc.string({ unit: "binary" })), { maxLength: 6 })
    .map((parts) => parts.join("").replaceAll("\0", ""));
  const shells = ["sh", "bash", "dash"].filter((name) => spawnSync(name, ["-c", ":"]).status === 0);
  expect(shells.length).toBeGreaterThan(0);
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(...shells),
      (values, shell) => {
        const wanted = values.map((text) => Buffer.from(text).toString());
        const lines = wanted.map((text, i) => `export V${i}=${quoted(text)}`).join("\n");
        const print = wanted.map((_, i) => `printf '%s\\0' "$V${i}"`).join("\n");
        const done = spawnSync(shell, ["-c", `eval "$(cat)"\n${print}\n`], { input: lines });
        expect(done.status).toBe(0);
        expect(done.stdout.toString().split("\0").slice(0, -1)).toEqual(wanted);
      },
    ),
    { numRuns: 60 },
  );
});

function check(tree: Tree, expected: Readonly<Record<string, string>>): void {
  const { variables } = variablesOf(tree, "M_");
  expect(Object.fromEntries(variables.map(({ name, value }) => [name, value]))).toEqual(expected);
}
