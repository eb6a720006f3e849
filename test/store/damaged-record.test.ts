/**
 * Goal: the store names a row that it cannot open, to who begins to follow it, and says when it is
 * over. Method: a row's document is overwritten behind the store's back.
 */

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openApi } from "../../src/controller/api/testing.ts";
import type { FeedElement } from "../../src/model/feed.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { nic, optionsOf, record, scratch } from "./samples.ts";

test("a snapshot names what cannot be opened, until it is written again or deleted", async () => {
  using folder = scratch();
  const path = join(folder.path, "store.sqlite");
  const seen = new Conditions(() => 0);
  await using writer = await openSqlite(path, optionsOf({ conditions: seen }));
  const sample = (n: number) => record({ id: `i-${n}`, nics: [nic(`10.1.1.${n}`)] });
  for (const n of [1, 2, 3, 4]) await writer.put(sample(n));
  const { network } = sample(1);
  using behind = new Database(path);
  behind.run("PRAGMA busy_timeout = 1000");
  const { changes } = behind.run(
    "UPDATE record SET document = zeroblob(64) WHERE id IN ('i-2', 'i-3')",
  );
  expect(changes).toBe(2);

  const conditions = new Conditions(() => 0);
  await using reader = await openSqlite(path, optionsOf({ role: "reader", conditions }));
  const end = new AbortController();
  const feed = reader.follow(end.signal)[Symbol.asyncIterator]();
  const next = async (): Promise<FeedElement> => (await feed.next()).value as FeedElement;
  const first = await next();
  if (first.kind !== "snapshot") throw new Error("no snapshot");
  expect(first.records.map(({ record }) => record.id)).toEqual(["i-1", "i-4"]);
  expect(first.damaged).toEqual([
    { network, id: "i-2" },
    { network, id: "i-3" },
  ]);
  const held = (): readonly string[] =>
    conditions.list().map(({ code, subject }) => `${code} ${subject}`);
  expect(held()).toEqual([
    `STORE_RECORD_DAMAGED instance i-2 of network ${network}`,
    `STORE_RECORD_DAMAGED instance i-3 of network ${network}`,
  ]);
  await writer.put(sample(2));
  await writer.delete({ network, id: "i-3" });
  const later: FeedElement[] = [];
  while (held().length > 0) later.push(await next());
  expect(later.flatMap((one) => (one.kind === "changes" ? one.changes : []))).toMatchObject([
    { kind: "put", record: { id: "i-2" } },
    { kind: "delete", id: "i-3" },
  ]);
  end.abort();

  // The writer has met it too, and no follower tells it so.
  behind.run("UPDATE record SET document = zeroblob(64) WHERE id = 'i-4'");
  const { ask } = openApi({ store: writer, conditions: seen });
  const at = `/v1/instances/${network}/i-4`;
  expect((await ask(`GET ${at}`)).code).toBe("INSTANCE_UNKNOWN");
  expect(seen.count("STORE_RECORD_DAMAGED")).toBe(1);
  expect((await ask(`DELETE ${at}`)).status).toBe(204);
  expect(seen.count("STORE_RECORD_DAMAGED")).toBe(0);
  expect((await ask(`DELETE ${at}`)).code).toBe("INSTANCE_UNKNOWN");

  await using another = await openSqlite(path, optionsOf({ role: "reader" }));
  for await (const element of another.follow(new AbortController().signal)) {
    expect("damaged" in element).toBe(false);
    break;
  }
});
