import { expect, test } from "bun:test";
import fc from "fast-check";
import { Slices } from "../slices.ts";
import { type ParseResult, parse } from "./parse.ts";
import { split } from "./split.ts";

const slices = new Slices(new AbortController().signal);

test("split() cuts at the records of the usual layout, and at nothing else", async () => {
  const cases: readonly (readonly [text: string, records: readonly string[] | undefined])[] = [
    ["instances:\n  - a: 1\n  - b: 2\n", ["2:  - a: 1\n", "3:  - b: 2\n"]],
    ["instances:\n- a: 1\n- b: 2", ["2:- a: 1\n", "3:- b: 2"]],
    ["x: y\ninstances: # all\n\n  # one\n  -\n    a: 1\n", ["5:  -\n    a: 1\n"]],
    ["---\ninstances:\r\n  - a: |\r\n      - x\r\n", ["3:  - a: |\r\n      - x\r\n"]],
    [
      "instances:\n  - a: 1\n    - b\n  # c\n\n  - d\n",
      ["2:  - a: 1\n    - b\n  # c\n\n", "6:  - d\n"],
    ],
    ["networks:\n- id: a\ninstances:\n  - a: 1\n", ["4:  - a: 1\n"]],
    ["instances: []\n", undefined],
    ["instances:\n", undefined],
    ["", undefined],
    ["{instances: []}", undefined],
    ["instances:\n  - a: 1\nnetworks: []\n", undefined],
    ["instances:\n  - a: 1\n---\ninstances: []\n", undefined],
    ["instances:\n  - a: 1\n...\n", undefined],
    ["%YAML 1.2\n---\ninstances:\n  - a: 1\n", undefined],
    ["x: 1\n---\ninstances:\n  - a: 1\n", undefined],
    ["instances: &all\n  - a: 1\n", undefined],
    ["instances:\n\t- a: 1\n", undefined],
    ["'instances':\n  - a: 1\n", undefined],
    ["instances:\ninstances:\n  - a: 1\n", undefined],
  ];
  for (const [text, records] of cases) {
    const layout = await split(Buffer.from(text), slices);
    expect(layout?.records.map(({ line, text }) => `${line}:${text}`)).toEqual(
      records === undefined ? undefined : [...records],
    );
  }
});

test("a record that has not changed is not parsed again", async () => {
  const text = (name: string): Buffer =>
    Buffer.from(
      `instances:\n  - {id: a, name: ${name}, address: 10.0.0.1}\n` +
        "  - {id: b, name: b, address: 10.0.0.2}\n",
    );
  const first = await parse(text("a"), new Map(), slices);
  const second = await parse(text("c"), first.cache, slices);
  expect(second.records.map(({ record }) => record.name)).toEqual(["c", "b"]);
  expect(second.records[1]?.record === first.records[1]?.record).toBe(true);
  expect(second.records[0]?.record === first.records[0]?.record).toBe(false);
  expect(second.cache.size).toBe(2);
});

// Goal: cutting the file never changes what it means.
// Method: parse random files twice, cut and whole. A key in quotes hides the list from the cutter.
test("records parsed one by one are those of the whole file", async () => {
  const line = [
    "a",
    "b-1",
    '"q"',
    "'s'",
    ">-\n      f\n      g",
    "'t\n\n      u'",
    "&n z",
    "*n",
    "7",
    '"',
  ];
  const body = [
    "|\n      - x\n\n      y",
    "|+\n      x\n\n",
    "|2-\n      # x",
    "{text: >\n      x}",
    "{base64: eA}",
  ];
  const map = [
    "{w: x, v: }",
    "\n      w: x\n      v: |\n        - y",
    "[[a, b],\n      [c, null]]",
    "\n    - [a, b]",
  ];
  const list = ["[u, v]", "\n      - u\n      - v", "\n    - u\n    # c\n    - v", "[]", "- x"];
  const field = fc.oneof(
    fc.tuple(fc.constantFrom("zone", "template", "project", "account"), fc.constantFrom(...line)),
    fc.tuple(fc.constant("userData"), fc.constantFrom(...body, ...line)),
    fc.tuple(fc.constant("keys"), fc.constantFrom(...map)),
    fc.tuple(fc.constant("publicKeys"), fc.constantFrom(...list)),
  );
  const lineEnd = fc.constantFrom("\n", "\r\n", " # c\n", "\n\n", "\n# col 0\n", "\n      # c\n");
  const entry = fc
    .tuple(
      fc.uniqueArray(fc.tuple(field, lineEnd), { maxLength: 4, selector: ([[name]]) => name }),
      fc.constantFrom("10.0.0.1", "'::1'"),
    )
    .map(([fields, address]) => {
      const more = fields.map(([[name, value], end]) => `    ${name}: ${value}${end}`).join("");
      return `  - id: i\n    name: n\n    address: ${address}\n${more}`;
    });
  const junk = fc.oneof(
    { weight: 12, arbitrary: fc.constant("") },
    fc.constantFrom(
      "- x\n",
      "  - \n",
      "   y\n",
      "    z: |\n",
      '"',
      "  -\n",
      "\t",
      "...\n",
      "x: y\n",
    ),
    fc.constantFrom("    - k\n", "]", " - v\n", "  # c\n", "\n", "#\n"),
  );
  const file = fc
    .array(fc.tuple(entry, junk), { maxLength: 4 })
    .map((parts) => parts.map(([entry, junk]) => entry + junk).join(""));
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(file, async (body) => {
      const text = Buffer.from(`instances:\n${body}`);
      const whole = await parse(Buffer.from(`"instances":\n${body}`), new Map(), slices);
      const chunks = await parse(text, new Map(), slices);
      if (whole.problems.length === 0 && (await split(text, slices)) !== undefined) cut++;
      expect(chunks.problems.length > 0).toBe(whole.problems.length > 0);
      if (whole.problems.length === 0) expect(essence(chunks)).toEqual(essence(whole));
    }),
    { numRuns: 1500 },
  );
  expect(cut).toBeGreaterThan(100);
});

function essence({ records }: ParseResult): unknown {
  return records.map(({ record, index, line }) => ({
    record,
    index,
    lines: ["id", "name", "address", "userData"].map((field) => line([field])),
  }));
}
