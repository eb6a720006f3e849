import { expect, test } from "bun:test";
import { appendFileSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Conditions } from "../../observe/conditions.ts";
import type { Accept } from "./bag.ts";
import { BagFile } from "./bag-file.ts";
import { Files } from "./files.ts";
import { BAD_GRACE_MS, RETRY_MS_MAX, STAMP_MS } from "./limits.ts";
import { BagDir, lease, slices, X } from "./testing.ts";

test("a file is read when it may have changed, and not else", async () => {
  using lab = new Lab('{"a":1}');
  expect(await lab.look()).toEqual({ a: 1 });
  expect(lab.file.modified).toBeGreaterThan(Date.now() - 10_000);
  lab.age();
  await lab.look();
  lab.reads = 0;
  expect(await lab.look()).toEqual({ a: 1 });
  expect(lab.reads).toBe(0);
  lab.dir.writeText("a.json", '{"a":2}');
  expect(await lab.look()).toEqual({ a: 2 });
  expect(lab.reads).toBe(1);
});

test("a file that was written a moment ago is looked at once more", async () => {
  using lab = new Lab('{"a":1}');
  lab.dir.writeText("a.json", '{"a":2}');
  await lab.look();
  expect(lab.file.wakeMs).toBe(STAMP_MS);
  await new Promise((resolve) => setTimeout(resolve, STAMP_MS + 5));
  await lab.look();
  expect(lab.file.wakeMs).toBeUndefined();
  // Not so a file from the future, or for ever.
  utimesSync(join(lab.dir.path, "a.json"), 4e9, 4e9);
  await lab.look();
  expect(lab.file.wakeMs).toBeUndefined();
});

test("a file that changes while it is read is read again", async () => {
  let rewrites = 0;
  using lab = new Lab('{"a":1,"b":1}', ({ raw }) => {
    const value = JSON.parse(raw.toString());
    // Another program writes after the first value was read, and the size stays what it is.
    if (rewrites-- > 0) appendFileSync(join(lab.dir.path, "a.json"), " ");
    return value;
  });
  rewrites = 1;
  expect(await lab.look()).toEqual({ a: 1, b: 1 });
  expect(lab.conditions.list()).toEqual([]);
  lab.dir.writeText("a.json", '{"a":2,"b":2}');
  rewrites = 1000;
  expect(await lab.look()).toEqual({ a: 1, b: 1 });
  rewrites = 0;
  expect(await lab.look()).toEqual({ a: 2, b: 2 });
});

test("a bad file is looked at again soon, then less and less often", async () => {
  using lab = new Lab('{"a":1}');
  await lab.look();
  lab.dir.writeText("a.json", "{");
  const waits: (number | undefined)[] = [];
  for (let i = 0; i < 8; i++) {
    await lab.look();
    waits.push(lab.file.wakeMs);
  }
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, RETRY_MS_MAX, RETRY_MS_MAX]);
  expect(lab.file.isInGrace).toBe(true);
  lab.now += BAD_GRACE_MS + 1;
  await lab.look();
  expect(lab.file.isInGrace).toBe(false);
  expect(lab.file.isBad).toBe(true);
  expect(lab.conditions.list().map(({ subject }) => subject)).toEqual(["a.json"]);
});

test("at the first look a bad file is reported at once, unless it is being written", async () => {
  using lab = new Lab('{\n"a":1,\n}');
  lab.age();
  await lab.look();
  const path = join(lab.dir.path, "a.json");
  expect(lab.details()).toEqual([`${path}:3: a name in quotes is missing`]);

  using written = new Lab('{"a":');
  setTimeout(() => written.dir.writeText("a.json", '{"a":1}'), 50);
  expect(await written.look()).toEqual({ a: 1 });
  expect(written.details()).toEqual([]);
});

test("a file that was never there is no fault; one that is gone, or expected, is", async () => {
  using lab = new Lab(undefined);
  await lab.look();
  expect([lab.file.isBad, lab.details()]).toEqual([false, []]);
  expect((await lab.file.error(slices())).message).toEndWith("a.json: does not exist");
  lab.dir.writeText("a.json", "{}");
  await lab.look();
  lab.dir.remove("a.json");
  await lab.look();
  lab.now += BAD_GRACE_MS + 1;
  await lab.look();
  expect(lab.details()).toEqual([`${lab.dir.path}/a.json: does not exist`]);
  // The one condition takes the other's place.
  mkdirSync(join(lab.dir.path, "a.json"));
  await lab.look();
  expect(lab.details()).toEqual([`${lab.dir.path}/a.json: is not a regular file`]);
});

test("a value is read again only as long as the file is what it was", async () => {
  using lab = new Lab('{"a":[1],"b":{"x":"y"}}');
  await lab.look();
  expect(lab.file.again("b")).toEqual({ x: "y" });
  expect(lab.file.again("c")).toBeUndefined();
  lab.dir.writeText("a.json", '{"a":[2],"b":{"x":"y"}}');
  expect(lab.file.again("a")).toBeUndefined();
  expect(lab.file.again("b")).toEqual({ x: "y" });
  lab.dir.writeText("a.json", "{");
  expect(lab.file.again("b")).toBeUndefined();
  lab.dir.remove("a.json");
  expect(lab.file.again("b")).toBeUndefined();
});

test("the lease is read after the metadata, because it is written before", async () => {
  using dir = new BagDir();
  dir.write("vmdata.json", { [X]: [] });
  dir.write("dhcpentry.json", { [X]: lease("0a") });
  const conditions = new Conditions(() => 0);
  const readMetadata = (): object => {
    dir.write("dhcpentry.json", { [X]: lease("0b") });
    return {};
  };
  const files = new Files({ dir: dir.path, conditions, now: () => 0, readMetadata });
  const { leases } = await files.look(slices());
  expect(leases?.changes[0]?.after?.data.mac as string).toBe("02:00:00:00:00:0b");
});

class Lab {
  readonly dir = new BagDir();
  readonly conditions: Conditions = new Conditions(() => this.now);
  readonly file: BagFile<unknown>;
  now = 0;
  reads = 0;

  constructor(text: string | undefined, accept?: Accept<unknown>) {
    if (text !== undefined) this.dir.writeText("a.json", text);
    const read = accept ?? (({ raw }) => JSON.parse(raw.toString()));
    this.file = new BagFile({
      ...{ dir: this.dir.path, name: "a.json", conditions: this.conditions, now: () => this.now },
      accept: (value) => {
        this.reads++;
        return read(value);
      },
    });
  }

  async look(): Promise<object> {
    (await this.file.look(slices()))?.commit();
    const { bag } = this.file;
    return Object.fromEntries([...bag.keys()].map((key) => [key, bag.get(key)?.data]));
  }

  /** As if nobody had written to the file for a while. */
  age(): void {
    utimesSync(join(this.dir.path, "a.json"), 1, 1);
  }

  details(): string[] {
    return this.conditions.list().map(({ detail }) => detail);
  }

  [Symbol.dispose](): void {
    this.dir[Symbol.dispose]();
  }
}
