import { expect, test } from "bun:test";
import fc from "fast-check";
import { CONTAINERS_MAX, isModest, LEVELS_MAX } from "./json-size.ts";

test("a text of too many levels or too many lists is not modest, one below the limits is", () => {
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  const flat = (lists: number) => `[${"{},".repeat(lists - 2)}[]]`;
  const cases: readonly (readonly [json: string, modest: boolean])[] = [
    ["", true],
    ["null", true],
    [nested(LEVELS_MAX), true],
    [nested(LEVELS_MAX + 1), false],
    [`{"a":${nested(LEVELS_MAX)}}`, false],
    ["[".repeat(8_000_000), false],
    ['{"a":'.repeat(LEVELS_MAX + 1), false],
    [`[${nested(LEVELS_MAX - 1)},${nested(LEVELS_MAX - 1)}]`, true],
    [flat(CONTAINERS_MAX), true],
    [flat(CONTAINERS_MAX + 1), false],
    // What stands in a string is no list.
    [JSON.stringify("[".repeat(1000)), true],
    [JSON.stringify({ a: `"\\${"[{".repeat(1000)}`, b: '\\"[[' }), true],
    [`["\\\\",${nested(LEVELS_MAX)}]`, false],
    ['"[[[[', true],
    ['"\\', true],
  ];
  for (const [json, modest] of cases) {
    expect([json.slice(0, 40), isModest(json)]).toEqual([json.slice(0, 40), modest]);
  }
});

test("a text of a million quotes or escapes is read once", () => {
  for (const part of ['"', "\\", '\\"', '"\\', '""']) {
    const begun = performance.now();
    expect(isModest(`"${part.repeat(4_000_000)}`)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(2000);
  }
});

test("the levels of any JSON are those of its value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(LEVELS_MAX), (value, around) => {
      const json = `${"[".repeat(around)}${JSON.stringify(value)}${"]".repeat(around)}`;
      expect(isModest(json)).toBe(around + levelsOf(value) <= LEVELS_MAX);
    }),
  );
});

function levelsOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(levelsOf));
}
