import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { USER_DATA_CHARS_DEFAULT } from "../user-data.ts";
import { commands } from "./commands.ts";
import {
  FORM_BYTES_MAX,
  JOBS_MAX,
  KEY_PAIRS_MAX,
  PAGE_SIZE_MAX,
  PAGE_USER_DATA_BYTES_MAX,
  REGISTERED_MAX,
} from "./limits.ts";

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
  const cases: readonly (readonly [start: string, said: string])[] = [
    ["| jobs |", `| ${written(JOBS_MAX)};`],
    ["| key pairs,", `| ${written(KEY_PAIRS_MAX)} and ${written(REGISTERED_MAX)} |`],
    ["- GET, or POST", `a form of ${FORM_BYTES_MAX / (1024 * 1024)} MiB at most`],
    ["- Lists take", `(${PAGE_SIZE_MAX} at most)`],
    ["| user data by POST |", `| ${written(USER_DATA_CHARS_DEFAULT)}, or`],
    ["| user data of one page", `| ${PAGE_USER_DATA_BYTES_MAX / (1024 * 1024)} MiB;`],
  ];
  for (const [start, said] of cases) {
    expect(TEXT.split("\n").find((line) => line.startsWith(start))).toContain(said);
  }
});

function written(limit: number): string {
  return limit.toLocaleString("en");
}
