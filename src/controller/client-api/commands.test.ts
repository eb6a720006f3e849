import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { commands } from "./commands.ts";
import { FORM_BYTES_MAX, JOBS_MAX, KEY_PAIRS_MAX, USER_DATA_MAX } from "./limits.ts";

const TEXT = readFileSync("docs/client-api.md", "utf8");

test("docs/client-api.md has every command, and no other", () => {
  const table = TEXT.split("\n## Commands\n")[1]?.split("\n## ")[0] ?? "";
  const named = table
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) =>
      [...(line.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
  expect(named.toSorted()).toEqual(Object.keys(commands).toSorted());
});

test("docs/client-api.md has the limits", () => {
  for (const limit of [JOBS_MAX, KEY_PAIRS_MAX, USER_DATA_MAX, FORM_BYTES_MAX]) {
    expect(TEXT).toContain(limit.toLocaleString("en"));
  }
});
