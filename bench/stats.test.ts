import { expect, test } from "bun:test";
import { count, digits, median, table, worst } from "./stats.ts";

test("the median is the middle value, or the mean of the two middle ones", () => {
  const cases: readonly [readonly number[], number | undefined][] = [
    [[], undefined],
    [[7], 7],
    [[30, 4, 100], 30],
    [[10, 2], 6],
    [[9, 1, 5, 3], 4],
  ];
  for (const [values, expected] of cases) expect(median(values)).toBe(expected);
});

test("the worst value is the largest, also of one", () => {
  expect(worst([])).toBeUndefined();
  expect(worst([-3, -5])).toBe(-3);
});

test("figures show three digits and never an exponent", () => {
  const cases: readonly [number | undefined, string][] = [
    [undefined, "–"],
    [0, "0"],
    [0.894, "0.89"],
    [1.3, "1.30"],
    [11.64, "11.6"],
    [142.4, "142"],
    [17_034, "17034"],
    [-2.51, "-2.51"],
  ];
  for (const [value, expected] of cases) expect(digits(value)).toBe(expected);
});

test("counts are grouped by thousands", () => {
  const cases: readonly [number, string][] = [
    [10, "10"],
    [2000, "2,000"],
    [100_000, "100,000"],
    [1_234_567, "1,234,567"],
  ];
  for (const [value, expected] of cases) expect(count(value)).toBe(expected);
});

test("a table is Markdown with columns of equal width", () => {
  const text = table(
    ["server", "µs"],
    [
      ["nginx", "11.6"],
      ["C", "9"],
    ],
  );
  expect(text).toBe("| server |   µs |\n| ------ | ---: |\n| nginx  | 11.6 |\n| C      |    9 |\n");
});
