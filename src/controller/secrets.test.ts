import { expect, test } from "bun:test";
import { ConfigError } from "../model/errors.ts";
import { Conditions } from "../observe/conditions.ts";
import { type Reloadable, reloadAll } from "./secrets.ts";

test("each file that cannot be used is named until it can, and keeps nobody else waiting", async () => {
  const conditions = new Conditions(() => 0);
  const bad = new Set(["b", "c"]);
  const read: string[] = [];
  const of = (file: string | undefined, name: string): Reloadable => ({
    file,
    async reload() {
      if (bad.has(name)) throw new ConfigError(`${name} is wrong`);
      read.push(name);
    },
  });
  // Two of them have one file.
  const all = [of("keys", "a"), of("keys", "b"), of("bus", "c"), of("hook", "d"), of("bus", "e")];
  const raised = () =>
    conditions.list().map(({ code, subject, detail }) => [code, subject, detail]);
  await reloadAll([...all, of(undefined, "b")], conditions);
  expect(read).toEqual(["a", "d", "e"]);
  expect(raised()).toEqual([
    ["CREDENTIALS_UNREADABLE", "keys", "b is wrong"],
    ["CREDENTIALS_UNREADABLE", "bus", "c is wrong"],
  ]);
  bad.delete("c");
  await reloadAll(all, conditions);
  expect(raised()).toEqual([["CREDENTIALS_UNREADABLE", "keys", "b is wrong"]]);
  bad.delete("b");
  await reloadAll(all, conditions);
  expect(raised()).toEqual([]);
});
