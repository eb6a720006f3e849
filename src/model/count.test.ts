import { expect, test } from "bun:test";
import { counted } from "./count.ts";

test("one is one, none and several are several", () => {
  const cases = [0, 1, 2].map((count) => counted(count, "instance"));
  expect(cases).toEqual(["0 instances", "1 instance", "2 instances"]);
  expect([1, 2].map((count) => counted(count, "entry", "entries"))).toEqual([
    "1 entry",
    "2 entries",
  ]);
});
