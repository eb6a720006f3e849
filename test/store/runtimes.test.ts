/** A store answers on Node.js as on Bun; where Node.js has no SQLite, it says so. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "./samples.ts";

const ROOT = join(import.meta.dirname, "../..");
const STORY = join(import.meta.dirname, "story.ts");
/** Debian 12's own Node.js, see scripts/setup.mjs. */
const NODE18 = join(ROOT, ".cache/node18/node");

const built = scratch();
const bundle = join(built.path, "story.mjs");
const expected: Record<string, string> = {};

beforeAll(async () => {
  const result = await Bun.build({
    entrypoints: [STORY],
    target: "node",
    naming: "story.mjs",
    outdir: built.path,
  });
  expect(result.success).toBe(true);
  for (const kind of ["memory", "sqlite"]) expected[kind] = tell(process.execPath, STORY, kind).out;
});

afterAll(() => built[Symbol.dispose]());

test("the story has all that a store may answer", () => {
  const { memory = "", sqlite } = expected;
  expect(sqlite).toBe(memory);
  const payload = ["STORE_PAYLOAD_UNKNOWN", "STORE_PAYLOAD_IN_USE", '"kind":"file"'];
  const words = ["STORE_CONFLICT", "STORE_ADDRESS_TAKEN", "true", "false", "wert-", ...payload];
  for (const word of words) {
    expect([word, memory.includes(word)]).toEqual([word, true]);
  }
});

for (const [name, program] of Object.entries({ node: "node", "node 18": NODE18 })) {
  test.skipIf(program === NODE18 && !existsSync(NODE18))(`on ${name}, as on Bun`, () => {
    expect(tell(program, bundle, "memory").out).toBe(expected.memory as string);
    const has = spawnSync(program, ["-e", "require('node:sqlite')"]).status === 0;
    const { out, err } = tell(program, bundle, "sqlite");
    if (has) expect(out).toBe(expected.sqlite as string);
    else expect(err).toContain("has no SQLite; run the binary, or Node.js 22.13 or later");
  });
}

function tell(program: string, file: string, kind: string): { out: string; err: string } {
  using folder = scratch();
  const place = kind === "memory" ? kind : folder.path;
  const { stdout, stderr } = spawnSync(program, [file, place], { encoding: "utf8" });
  return { out: stdout, err: stderr };
}
