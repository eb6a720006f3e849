import { expect, test } from "bun:test";
import fc from "fast-check";
import { virtualRouter } from "../../test/guest/servers.ts";
import { parseEndpoint } from "./endpoint.ts";
import { follow, pauseMs } from "./follow.ts";
import { changesBetween, type Snapshot, type Tree } from "./tree.ts";

test("the pause varies by a quarter, doubles with failures, and has an end", () => {
  const pause = (failures: number, random: number) =>
    pauseMs({ baseMs: 10_000, failures, holds: false, random });
  expect([pause(0, 0), pause(0, 1)]).toEqual([7_500, 12_500]);
  expect([1, 2, 3, 4, 50].map((failures) => pause(failures, 0.5))).toEqual([
    ...[10_000, 20_000, 40_000, 60_000, 60_000],
  ]);
  expect(pauseMs({ baseMs: 10_000, failures: 0, holds: true, random: 1 })).toBe(100);
  // An interval longer than the limit is not shortened by failures.
  expect(pauseMs({ baseMs: 600_000, failures: 9, holds: false, random: 0.5 })).toBe(600_000);
});

test("only what differs is told, and a failure is told without an end", async () => {
  await using service = await virtualRouter({ keys: { "instance-id": "i", a: "1" } });
  const keys = (a: string) => ({ keys: { "instance-id": "i", a } });
  const endpoint = parseEndpoint(service.url);
  const stop = new AbortController();
  const told: string[] = [];
  const options = { endpoint, withUserData: false, intervalMs: 1, random: () => 0.5 };
  for await (const seen of follow(options, stop.signal)) {
    told.push(seen.kind === "failed" ? "failed" : String(seen.snapshot.metaData.a));
    if (told.length === 1) service.files = { keys: {} };
    if (told.length === 2) {
      service.files = keys("1");
      // It is the same as before, and looked at a few times; only then it differs.
      setTimeout(() => Object.assign(service, { files: keys("2") }), 100);
    }
    if (told.at(-1) === "2") stop.abort();
  }
  expect(told).toEqual(["1", "failed", "2"]);
});

test("the changes between two trees lead from one to the other", () => {
  const leaf = fc.constantFrom("x", "y", "");
  const name = fc.constantFrom("a", "b", "c", "constructor");
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.dictionary(name, fc.oneof({ depthSize: "small" }, leaf, tie("tree")), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(tree, tree, (before, after) => {
      const values = new Map(flat(before));
      for (const { kind, key, from, to } of changesBetween(snapshot(before), snapshot(after))) {
        expect([kind, values.get(key)]).toEqual([kind, from]);
        if (to === undefined) values.delete(key);
        else values.set(key, to);
      }
      expect(Object.fromEntries(values)).toEqual(Object.fromEntries(flat(after)));
    }),
  );
});

test("user data is told to have changed, and not shown", () => {
  const read = (text: string): Snapshot => ({ ...snapshot({}), userData: { text } });
  expect(changesBetween(read("secret"), read("other"))).toEqual([
    { kind: "changed", key: "user-data" },
  ]);
  const whole = (etag: string): Snapshot => ({ ...snapshot({ a: "1" }), etag, whole: true });
  expect(changesBetween(whole('"x"'), whole('"y"'))).toEqual([
    { kind: "changed", key: "user-data" },
  ]);
  expect(changesBetween(whole('"x"'), whole('"x"'))).toEqual([]);
});

function snapshot(metaData: Tree): Snapshot {
  return { etag: undefined, whole: false, metaData, userData: undefined };
}

function flat(tree: Tree, prefix = ""): [string, string][] {
  return Object.entries(tree).flatMap(([name, value]): [string, string][] =>
    typeof value === "string" ? [[prefix + name, value]] : flat(value, `${prefix}${name}/`),
  );
}
