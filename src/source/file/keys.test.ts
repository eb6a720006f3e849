import { expect, test } from "bun:test";
import { KEYS } from "../../protocol/keys.ts";
import { keysOf } from "./keys.ts";

test("every key that CloudStack knows stands where CloudStack puts it, own keys after the name", () => {
  const known = Object.keys(KEYS);
  const keys = Object.fromEntries([...known, "tier"].reverse().map((name) => [name, "given"]));
  const names = keysOf({ id: "i", name: "n", keys }, []).map(([name]) => name);
  expect(names.filter((name) => name !== "tier")).toEqual(known);
  expect(names[names.indexOf("local-hostname") + 1]).toBe("tier");
});
