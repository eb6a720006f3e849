/** When the listeners and ranges are thought about again. */

import { expect, test } from "bun:test";
import { Around } from "./around.ts";

test("what follows from the same facts is not done again; another fact is news", () => {
  const around = new Around();
  const [networks, endpoints] = [[{ id: "a" }], [{ address: "10.1.1.1" }]];
  expect(around.isAsSettled([networks, endpoints, true])).toBe(false);
  around.settle([networks, endpoints, true]);
  const check = (facts: readonly unknown[], isAsSettled: boolean): void =>
    expect(around.isAsSettled(facts)).toBe(isAsSettled);
  check([networks, endpoints, true], true);
  check([networks, endpoints, false], false);
  // Nobody compares a thousand networks: a list is the same if it is the very same.
  check([[...networks], endpoints, true], false);
});
