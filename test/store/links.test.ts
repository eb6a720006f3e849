/**
 * Goal: a store that is reached by a link is the same store, with its log and its lock beside the
 * file. Method: links to a store that lies in another folder, closed or left as by SIGKILL.
 */

import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { FeedElement } from "../../src/model/feed.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { nic, optionsOf, record, scratch } from "./samples.ts";

const ids = async (store: Store): Promise<readonly string[]> =>
  (await store.list()).records.map(({ record }) => record.id);

/** A folder `data` for the file, and a link to it that leads nowhere yet. */
function linked(folder: string): { readonly link: string; readonly file: string } {
  const [link, file] = [join(folder, "store.sqlite"), join(folder, "data", "real.sqlite")];
  mkdirSync(join(folder, "data"));
  symlinkSync("data/real.sqlite", link);
  return { link, file };
}

test("a store is made where a link leads, for its owner alone", async () => {
  using folder = scratch();
  const { link, file } = linked(folder.path);
  const store = await openSqlite(link, optionsOf());
  await store.put(record());
  for (const suffix of ["", "-wal", "-shm", ".lock"]) {
    expect([suffix, statSync(file + suffix).mode & 0o777]).toEqual([suffix, 0o600]);
  }
  await store.close();
  expect(readdirSync(folder.path).sort()).toEqual(["data", "store.sqlite"]);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
});

test("what a killed writer left in the log is there by the link too", async () => {
  using folder = scratch();
  const { link, file } = linked(folder.path);
  const made = join(folder.path, "made.sqlite");
  const before = await openSqlite(made, optionsOf());
  for (const n of [1, 2]) await before.put(record({ id: `i-${n}`, nics: [nic(`10.1.1.${n}`)] }));
  // As SIGKILL leaves it: nothing is closed.
  for (const suffix of ["", "-wal"]) copyFileSync(made + suffix, file + suffix);
  await before.close();
  const conditions = new Conditions(() => 0);
  await using store = await openSqlite(link, optionsOf({ conditions }));
  expect([await ids(store), conditions.list()]).toEqual([["i-1", "i-2"], []]);
});

test("one writer to a file, by whichever name", async () => {
  using folder = scratch();
  const { link, file } = linked(folder.path);
  await using writer = await openSqlite(link, optionsOf());
  await expect(openSqlite(file, optionsOf())).rejects.toMatchObject({ code: "STORE_LOCKED" });
  await using reader = await openSqlite(file, optionsOf({ role: "reader" }));
  await writer.put(record());
  expect(await ids(reader)).toEqual(["i-1"]);
});

test("who follows by a link hears of writes, and of a link that leads elsewhere", async () => {
  using folder = scratch();
  const { link, file } = linked(folder.path);
  await using writer = await openSqlite(file, optionsOf());
  await using reader = await openSqlite(link, optionsOf({ role: "reader" }));
  const feed = reader.follow(new AbortController().signal)[Symbol.asyncIterator]();
  const next = async (): Promise<FeedElement> => (await feed.next()).value as FeedElement;
  expect((await next()).kind).toBe("snapshot");
  await writer.put(record());
  expect(await next()).toMatchObject({ kind: "changes", changes: [{ kind: "put" }] });
  const other = join(folder.path, "other.sqlite");
  await (await openSqlite(other, optionsOf())).close();
  symlinkSync(other, `${link}.new`);
  renameSync(`${link}.new`, link);
  await expect(next()).rejects.toMatchObject({ code: "STORE_REPLACED" });
});

test("a link to itself, or into no folder, is no store", async () => {
  using folder = scratch();
  const [loop, lost] = [join(folder.path, "loop"), join(folder.path, "lost")];
  symlinkSync("loop", loop);
  symlinkSync("nowhere/store.sqlite", lost);
  for (const path of [loop, lost]) {
    await expect(openSqlite(path, optionsOf())).rejects.toMatchObject({ code: "STORE_UNWRITABLE" });
    const reading = openSqlite(path, optionsOf({ role: "reader" }));
    await expect(reading).rejects.toMatchObject({ code: "STORE_MISSING" });
    unlinkSync(path);
  }
  expect(existsSync(join(folder.path, "nowhere"))).toBe(false);
});
