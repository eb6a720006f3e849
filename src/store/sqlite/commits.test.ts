/** What is written together, and what becomes of it when a part cannot be. */

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "../../model/errors.ts";
import { Commits } from "./commits.ts";
import { type Database, openDatabase } from "./database.ts";

/** A table of numbers, who writes it, and another connection that reads it. */
class Lab implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "frontdesk-commits-"));
  readonly #path = join(this.#folder, "store.sqlite");
  readonly database: Database = openDatabase(this.#path);
  readonly other: Database;
  readonly commits: Commits;
  /** How many transactions have ended. */
  ended = 0;

  constructor() {
    this.database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER UNIQUE) STRICT");
    this.database.exec("PRAGMA busy_timeout = 1");
    this.other = openDatabase(this.#path);
    this.commits = new Commits({
      ...{ database: this.database, path: this.#path, isTruth: false, check: () => {} },
      onEnd: () => void this.ended++,
    });
  }

  /** Writes a number, after `first`. */
  write(n: number, first: () => void = () => {}): Promise<number> {
    return this.commits.write(false, () => {
      first();
      this.database.exec(`INSERT INTO t VALUES (${n})`);
      return n;
    });
  }

  /** What others see, in the order in which it was written. */
  seen(): number[] {
    const rows = this.other.prepare("SELECT n FROM t ORDER BY rowid").all();
    return (rows as { n: number }[]).map(({ n }) => n);
  }

  [Symbol.dispose](): void {
    this.other.close();
    this.database.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

const codes = async (writes: readonly Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(writes)).map((one) =>
    one.status === "fulfilled" ? one.value : one.reason.code,
  );

test("what is written in the same turn is one transaction, in the order of asking", async () => {
  using lab = new Lab();
  const writes = numbers(10).map((n) => lab.write(n));
  expect(lab.seen()).toEqual([]);
  expect(await Promise.all(writes)).toEqual(numbers(10));
  expect(lab.seen()).toEqual(numbers(10));
  expect(lab.ended).toBe(1);
});

test("what takes long is cut, and keeps its order", async () => {
  using lab = new Lab();
  const wait = (): void => {
    for (const end = performance.now() + 1; performance.now() < end; );
  };
  const turns: number[] = [];
  const writes = numbers(20).map((n) => lab.write(n, wait));
  const watching = setInterval(() => turns.push(lab.seen().length), 0);
  expect(await Promise.all(writes)).toEqual(numbers(20));
  clearInterval(watching);
  expect(lab.seen()).toEqual(numbers(20));
  expect(lab.ended).toBeGreaterThan(3);
  // Others had their turn in between.
  expect(new Set(turns).size).toBeGreaterThan(2);
});

test("a write that cannot be hurts no other, and leaves nothing", async () => {
  using lab = new Lab();
  const refuse = (): never => {
    throw new StoreError("STORE_ADDRESS_TAKEN", "taken");
  };
  const half = lab.commits.write(false, () => {
    lab.database.exec("INSERT INTO t VALUES (100)");
    refuse();
  });
  const writes = [lab.write(1), half, lab.write(2), lab.write(3, refuse), lab.write(4)];
  expect(await codes(writes)).toEqual([1, "STORE_ADDRESS_TAKEN", 2, "STORE_ADDRESS_TAKEN", 4]);
  expect(lab.seen()).toEqual([1, 2, 4]);
  expect(lab.ended).toBe(1);
  // One that the database itself refuses, too.
  const same = await Promise.allSettled([lab.write(5), lab.write(5), lab.write(6)]);
  const how: readonly string[] = same.map(({ status }) => status);
  expect(how).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(lab.seen()).toEqual([1, 2, 4, 5, 6]);
});

test("while another program writes, all of them wait", async () => {
  using lab = new Lab();
  lab.other.exec("BEGIN IMMEDIATE");
  const writes = [lab.write(1), lab.write(2)];
  await sleep(60);
  const late = lab.write(3);
  lab.other.exec("INSERT INTO t VALUES (0)");
  lab.other.exec("COMMIT");
  expect(await codes([...writes, late])).toEqual([1, 2, 3]);
  expect(lab.seen()).toEqual([0, 1, 2, 3]);
});

test("what was asked for before the end is written, and what comes later is refused", async () => {
  using lab = new Lab();
  const writes = [lab.write(1), lab.write(2)];
  const closed = lab.commits.close();
  expect(await codes([lab.write(3), ...writes])).toEqual(["STORE_CLOSED", 1, 2]);
  await closed;
  expect(lab.seen()).toEqual([1, 2]);
});

test("the end waits for no other program", async () => {
  using lab = new Lab();
  lab.other.exec("BEGIN IMMEDIATE");
  const writes = [lab.write(1), lab.write(2)];
  await sleep(30);
  await lab.commits.close();
  lab.other.exec("ROLLBACK");
  expect(await codes(writes)).toEqual(["STORE_LOCKED", "STORE_LOCKED"]);
  expect(lab.seen()).toEqual([]);
});
