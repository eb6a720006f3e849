/**
 * The JSON schemas for editors are made from the program's own schemas. To write them anew:
 * `FRONTDESK_UPDATE=1 bun test test/schemas.test.ts`.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { sampleYaml } from "../src/cli/demo/sample.ts";
import { configJsonSchema } from "../src/config/schema.ts";
import { instancesJsonSchema } from "../src/source/file/schema.ts";

const FOLDER = join(import.meta.dirname, "../docs/schema");

test("docs/schema holds what the program's schemas say", () => {
  for (const [name, schema] of [
    ["instances", instancesJsonSchema()],
    ["config", configJsonSchema()],
  ] as const) {
    const path = join(FOLDER, `${name}.schema.json`);
    const text = `${JSON.stringify(schema, undefined, 2)}\n`;
    if (process.env.FRONTDESK_UPDATE === "1") writeFileSync(path, text);
    expect(readFileSync(path, "utf8"), "stale: see the head of this test").toBe(text);
  }
});

test("an editor marks fields that there are not", () => {
  const schema = instancesJsonSchema() as {
    properties: { instances: { items: { additionalProperties: unknown } } };
  };
  expect(schema.properties.instances.items.additionalProperties).toBe(false);
});

test("an editor takes what the program takes, and marks common mistakes", () => {
  check("instances", sampleYaml(), true);
  const record = "instances:\n  - id: i\n    name: n\n";
  check("instances", `${record}    address: 10.0.0.1\n    keys: [[a, b], [c, null]]`, true);
  check("instances", `${record}    nics: [{addresses: [10.0.0.1], default: true}]`, true);
  check("instances", `${record}    address: 10.0.0.1\n    userData: {base64: eA==}`, true);
  check("instances", record, false);
  check("instances", `${record}    address: 10.0.0.1\n    keys: {a/b: c}`, false);
  check("instances", `${record}    address: 10.0.0.1\n    keys: {a: 1}`, false);
  check("config", "source: file:lab.yaml\nlisten: [auto]", true);
  check("config", "networks: [{id: a, cidrs: [10.0.0.0/8], hosts: enforce}]", true);
  check("config", "{}", true);
  check("config", "listne: [auto]", false);
  check("config", "hosts: all", false);
});

function check(name: "instances" | "config", yaml: string, valid: boolean): void {
  const schema = JSON.parse(readFileSync(join(FOLDER, `${name}.schema.json`), "utf8"));
  expect(z.fromJSONSchema(schema).safeParse(parse(yaml)).success, yaml).toBe(valid);
}
