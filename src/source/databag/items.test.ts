import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parseIp } from "../../model/address.ts";
import { parseContent, readContent } from "./entry.ts";
import { readItems } from "./items.ts";

const RUNS = process.env.FRONTDESK_LONG === "1" ? 20_000 : 1000;
const ADDRESS = parseIp("10.1.1.5");

type Item = [string, string, string | null];

function read(text: string): Item[] | undefined {
  const items: Item[] = [];
  const isRead = readItems(Buffer.from(text), (...item) => void items.push(item));
  return isRead ? items : undefined;
}

test("every entry of CloudStack's is read without JSON.parse", () => {
  for (const topology of ["isolated", "vpc", "shared", "redundant"]) {
    const path = `fixtures/cloudstack/${topology}/etc-cloudstack/vmdata.json`;
    const bag = JSON.parse(readFileSync(path, "utf8")) as Record<string, Item[]>;
    for (const [key, items] of Object.entries(bag)) {
      if (key === "id") continue;
      for (const indent of [0, 2, "\t"]) {
        expect(read(JSON.stringify(items, undefined, indent))).toEqual(items);
      }
    }
  }
});

test("escapes, null, and empty lists and texts are read", () => {
  expect(read("[]")).toEqual([]);
  expect(read(" [ ] ")).toEqual([]);
  const item = '["a","b","c\\n\\u00e9\\"\\\\"]';
  expect(read(`[${item}]`)).toEqual([["a", "b", 'c\né"\\']]);
  expect(read('[["a","",null],["","b",""]]')).toEqual([
    ["a", "", null],
    ["", "b", ""],
  ]);
});

test("what is the beginning of a text, or goes on behind it, is not taken for it", () => {
  expect(read('[["metadata","name","value"]]')).toEqual([["metadata", "name", "value"]]);
  expect(read('[["meta","name2","val"]]')).toEqual([["meta", "name2", "val"]]);
  expect(read('[["metadata2","nam","value\\""]]')).toEqual([["metadata2", "nam", 'value"']]);
});

test("whatever else there is, is left to JSON.parse", () => {
  const rest = [
    ...["", " ", "[", "]", "[[", "[[]]", "{}", "null", '"a"', "[null]", '["a"]', '[["a"]]'],
    ...['[["a","b"]]', '[["a","b","c","d"]]', '[["a","b",7]]', '[["a","b",["c"]]]'],
    ...['[["a","b","c"],]', '[["a","b","c"]', '[["a","b","c"]]]', '[["a","b","c"] ["a","b","c"]]'],
    ...['[["a","b",nul]]', '[["a","b",nullx]]', '[["a","b","c]]', '[["a","b","\\"]]'],
    ...['[["a","b","\n"]]', '[["a","b","é"]]', '[[null,"b","c"]]', '[["a" "b","c"]]'],
  ];
  for (const text of rest) expect({ text, items: read(text) }).toEqual({ text, items: undefined });
  expect(() => read('[["a","b","\\x"]]')).toThrow(SyntaxError);
});

// Goal: reading from the bytes gives what JSON.parse gives, and refuses what it refuses.
// Method: any list of items, well formed or not, in any formatting, some with damage; both ways.
test("the bytes say what JSON.parse says", () => {
  const name = fc.constantFrom("local-hostname", "instance-id", "a", "", "é", 'q"', "a\\b");
  const text = fc.oneof(name, fc.string(), fc.string({ unit: "binary" }));
  const contents = fc.oneof(text, fc.constant(null), fc.jsonValue({ maxDepth: 1 }));
  const folder = fc.constantFrom("metadata", "userdata", "x");
  const item = fc.oneof(
    { weight: 9, arbitrary: fc.tuple(folder, fc.oneof(name, text), contents) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
  );
  const damage = fc.option(fc.tuple(fc.nat(), fc.nat(3), fc.string({ maxLength: 3 })));
  fc.assert(
    fc.property(fc.array(item), fc.constantFrom(0, 2), damage, (items, indent, hurt) => {
      let json = JSON.stringify(items, undefined, indent);
      if (hurt !== null) {
        const at = hurt[0] % json.length;
        json = json.slice(0, at) + hurt[2] + json.slice(at + hurt[1]);
      }
      // As bytes: a lone half of a pair has none.
      const raw = Buffer.from(json);
      expect(outcome(() => parseContent(raw, ADDRESS))).toEqual(
        outcome(() => readContent(JSON.parse(raw.toString()), ADDRESS)),
      );
    }),
    { numRuns: RUNS },
  );
});

function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return "no JSON";
  }
}
