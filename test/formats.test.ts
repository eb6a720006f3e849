/**
 * The pages about formats: their examples work, and they name every field that there is.
 */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../src/config/load.ts";
import { configJsonSchema } from "../src/config/schema.ts";
import { SETTINGS } from "../src/config/settings.ts";
import { Conditions } from "../src/observe/conditions.ts";
import { openFile } from "../src/source/file/file.ts";
import { instancesJsonSchema } from "../src/source/file/schema.ts";

const FOLDER = join(import.meta.dirname, "../docs/formats");
const DIR = mkdtempSync(join(tmpdir(), "frontdesk-formats-"));

afterAll(() => rmSync(DIR, { recursive: true }));

test("each example of instances.md is read by the file source", async () => {
  const context = { conditions: new Conditions(() => 0), now: () => 0, firstStart: true };
  for (const path of examples("instances.md", 2)) {
    await using source = await openFile(path, context);
    expect((await source.poll(new AbortController().signal)).length).toBeGreaterThan(0);
  }
});

test("each example of config.md is a configuration", async () => {
  for (const path of examples("config.md", 5)) await loadConfig(path);
});

test("the pages name each field, flag and variable", () => {
  check("instances.md", fieldsOf(instancesJsonSchema()));
  check("config.md", fieldsOf(configJsonSchema()));
  check(
    "config.md",
    Object.values(SETTINGS).flatMap(({ flag, env }) => [flag, env]),
  );
});

function examples(page: string, count: number): string[] {
  const found = [...read(page).matchAll(/```yaml\n(.*?)```/gs)].map(([, text = ""], index) => {
    const path = join(DIR, `${page}.${index}.yaml`);
    writeFileSync(path, text);
    return path;
  });
  expect(found.length).toBe(count);
  return found;
}

/** The names of all fields at any depth. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties, oneOf: _, ...rest } = schema as Readonly<Record<string, unknown>>;
  const own = properties === undefined ? [] : Object.keys(properties as object);
  return [...own, ...Object.values({ ...rest, ...(properties as object) }).flatMap(fieldsOf)];
}

function check(page: string, names: readonly string[]): void {
  const text = read(page);
  expect(names.length).toBeGreaterThan(10);
  for (const name of names)
    expect(text, `${page} does not name ${name}`).toMatch(
      RegExp(`\\b${name.replace(/^-+/, "")}\\b`),
    );
}

function read(page: string): string {
  return readFileSync(join(FOLDER, page), "utf8");
}
