import { expect, test } from "bun:test";
import fc from "fast-check";
import { detailsOf, escaped } from "./keys.ts";

test("what is not ASCII is written as \\uXXXX, by UTF-16 unit", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["plain ~ text", "plain ~ text"],
    ["größe", "gr\\u00F6\\u00DFe"],
    ["😀", "\\uD83D\\uDE00"],
    ["\u007f\u0080", "\u007f\\u0080"],
  ];
  for (const [text, written] of cases) expect(escaped(text)).toBe(written);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(escaped(text)).toMatch(/^[\0-\x7f]*$/);
    }),
  );
});

test("details are taken apart as CloudStack takes them apart", () => {
  const cases: readonly (readonly [string | undefined, readonly (readonly [string, string])[]])[] =
    [
      [undefined, []],
      ["", []],
      ["{}", []],
      [
        "{test1=value1,test2=value2}",
        [
          ["test1", "value1"],
          ["test2", "value2"],
        ],
      ],
      [
        "{a=1, b=x=y}",
        [
          ["a", "1"],
          ["b", "x=y"],
        ],
      ],
      // A comma in a value ends it, there as here.
      [
        "{a=1,2, b=3}",
        [
          ["a", "1"],
          ["b", "3"],
        ],
      ],
      ["{=1, b=}", [["b", ""]]],
    ];
  for (const [text, pairs] of cases) expect(detailsOf(text)).toEqual(pairs as never);
});
