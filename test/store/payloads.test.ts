/** What every store promises of payloads, and what SQLite's file says of them. */

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Body } from "../../src/model/binding.ts";
import { PART_BYTES, PAYLOAD_BYTES_MAX } from "../../src/model/payload.ts";
import { contentHash } from "../../src/protocol/etag.ts";
import { PAYLOADS_BYTES_MAX, PAYLOADS_MAX } from "../../src/store/limits.ts";
import { checkRoom } from "../../src/store/payloads.ts";
import { openDatabase } from "../../src/store/sqlite/database.ts";
import { MIGRATIONS, migrate } from "../../src/store/sqlite/schema.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { listen, optionsOf, record, STORES, scratch } from "./samples.ts";

const NAME = { network: "204", id: "i-1" };
const NOBODY = "0".repeat(64);

for (const [name, open] of Object.entries(STORES)) {
  const on = (what: string, run: (store: Store) => Promise<void>): void =>
    test(`${name}: ${what}`, async () => {
      using folder = scratch();
      await using store = await open(folder.path);
      await run(store);
    });

  on("a payload is got again in parts, whatever its length", async (store) => {
    for (const length of [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, PAYLOAD_BYTES_MAX]) {
      const content = pattern(length);
      const sha256 = hashOf(content);
      const kept = await store.putPayload(content, "script");
      expect(kept).toEqual({ sha256, bytes: length, kind: "script", isNew: true });
      content.fill(0); // What the store keeps is its own.
      const found = await store.payload(sha256);
      expect(found).toMatchObject({ sha256, bytes: length, kind: "script" });
      const parts = await Promise.all((found?.parts ?? []).map(bytesOf));
      const lengths = (found?.parts ?? []).map(({ length }) => length);
      expect(parts.map((part) => part.length)).toEqual(lengths);
      expect(parts.slice(0, -1).every((part) => part.length === PART_BYTES)).toBe(true);
      expect(parts.at(-1)?.length).toBeGreaterThan(0);
      expect(hashOf(Buffer.concat(parts))).toBe(sha256);
      for (const [index, part] of (found?.parts ?? []).entries()) {
        if (!(part instanceof Uint8Array)) {
          expect(part.hash).toBe(contentHash(parts[index] as Uint8Array));
        }
      }
    }
    expect(await store.payload(NOBODY)).toBeUndefined();
  });

  on("the same content is kept once, and stays what it was", async (store) => {
    const first = await store.putPayload(pattern(10), "script");
    expect(await store.putPayload(pattern(10), "file")).toEqual({ ...first, isNew: false });
    const second = await store.putPayload(pattern(11), "file");
    const { isNew: _, ...rest } = first;
    const { isNew: __, ...other } = second;
    const all = [rest, other].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    expect(await store.payloads()).toEqual(all);
  });

  on("one that is empty or too large is refused", async (store) => {
    for (const length of [0, PAYLOAD_BYTES_MAX + 1]) {
      const put = store.putPayload(new Uint8Array(length), "file");
      await expect(put).rejects.toMatchObject({ code: "RECORD_INVALID" });
    }
    expect(await store.payloads()).toEqual([]);
  });

  on("a record names only what is there, and followers hear of it", async (store) => {
    const { sha256, bytes } = await store.putPayload(pattern(100), "script");
    const put = (payloads: readonly object[]) => store.put(record({ payloads }));
    for (const wrong of [
      { sha256: NOBODY, bytes },
      { sha256, bytes: bytes + 1 },
    ]) {
      await expect(put([wrong])).rejects.toMatchObject({ code: "STORE_PAYLOAD_UNKNOWN" });
    }
    expect(await store.get(NAME)).toBeUndefined();
    expect((await store.list()).revision).toBe(0);
    await using follower = listen(store);
    await put([{ sha256, bytes }]);
    expect((await store.get(NAME))?.record.payloads).toEqual([{ sha256, bytes }]);
    await follower.reaches(1);
    expect(follower.known.get("204 i-1")?.payloads).toEqual([{ sha256, bytes }]);
    expect((await put([{ sha256, bytes }])).revision).toBe(1);
    expect((await put([])).revision).toBe(2);
    expect((await store.get(NAME))?.record.payloads).toBeUndefined();
  });

  on("a payload goes when no record names it any more", async (store) => {
    const { sha256, bytes } = await store.putPayload(pattern(2 * PART_BYTES), "script");
    const named = { payloads: [{ sha256, bytes }] };
    const refused = async (id: string): Promise<void> => {
      const deletion = store.deletePayload(sha256);
      await expect(deletion).rejects.toMatchObject({
        code: "STORE_PAYLOAD_IN_USE",
        message: expect.stringContaining(id),
      });
      expect((await store.payload(sha256))?.parts).toHaveLength(2);
    };
    const secret = { id: "s-1", password: "p" };
    await store.put(record({ ...named, password: secret }));
    await store.put(record({ ...named, id: "i-2", nics: [] }));
    await store.put(record({ id: "i-3", nics: [] }));
    await store.delete({ ...NAME, id: "i-2" });
    await refused("i-1");
    await store.put(record({ ...named, name: "another", password: secret }));
    await store.ack({ network: "204", instance: "i-1", epoch: 1000, secretId: "s-1" });
    await store.ack({ network: "204", instance: "i-1", epoch: 1, secretId: "s-1" });
    await refused("i-1");
    await store.put(record());
    expect(await store.deletePayload(sha256)).toBe(true);
    expect(await store.deletePayload(sha256)).toBe(false);
    expect(await store.payload(sha256)).toBeUndefined();
    expect(await store.payloads()).toEqual([]);
    expect((await store.putPayload(pattern(2 * PART_BYTES), "file")).isNew).toBe(true);
  });
}

test("there is room for so many, and so many bytes", () => {
  checkRoom({ count: PAYLOADS_MAX - 1, bytes: PAYLOADS_BYTES_MAX - 5 }, 5);
  for (const [held, more] of [
    [{ count: PAYLOADS_MAX, bytes: 1 }, 1],
    [{ count: 1, bytes: PAYLOADS_BYTES_MAX - 5 }, 6],
  ] as const) {
    expect(() => checkRoom(held, more)).toThrow("remove one");
  }
});

test("a payload stands in the file only sealed, and its name does too", async () => {
  using folder = scratch();
  const content = Buffer.from("pay10ad".repeat(200_000));
  const store = await openIn(folder.path);
  const { sha256, bytes } = await store.putPayload(content, "script");
  await store.put(record({ payloads: [{ sha256, bytes }] }));
  await store.close();
  const files = readdirSync(folder.path).map((name) => readFileSync(join(folder.path, name)));
  const all = Buffer.concat(files);
  expect(all.length).toBeGreaterThan(content.length);
  for (const word of ["pay10ad", sha256, Buffer.from(sha256, "hex")]) {
    expect(all.includes(word)).toBe(false);
  }
});

test("a part that was changed, or is another's, does not open", async () => {
  using folder = scratch();
  await using store = await openIn(folder.path);
  const { sha256 } = await store.putPayload(pattern(2 * PART_BYTES), "file");
  const parts = (await store.payload(sha256))?.parts ?? [];
  const database = openDatabase(join(folder.path, "store.sqlite"));
  database.exec(`UPDATE payload_part SET sealed =
    (SELECT sealed FROM payload_part WHERE part = 1) WHERE part = 0`);
  database.close();
  await expect(bytesOf(parts[0] as Body)).rejects.toMatchObject({ code: "STORE_UNREADABLE" });
  expect(await bytesOf(parts[1] as Body)).toHaveLength(PART_BYTES);
  await store.deletePayload(sha256);
  await expect(bytesOf(parts[1] as Body)).rejects.toMatchObject({ code: "STORE_PAYLOAD_UNKNOWN" });
});

test("a program of the version before writes records, and names go with what it writes", async () => {
  using folder = scratch();
  const path = join(folder.path, "store.sqlite");
  let old = openDatabase(path);
  migrate(old, path, MIGRATIONS.slice(0, 2));
  old.close();
  await using store = await openIn(folder.path);
  const { sha256, bytes } = await store.putPayload(pattern(9), "script");
  await store.put(record({ payloads: [{ sha256, bytes }] }));
  await expect(store.deletePayload(sha256)).rejects.toMatchObject({ code: "STORE_PAYLOAD_IN_USE" });
  old = openDatabase(path);
  old.exec("UPDATE record SET document = document, revision = 7");
  old.close();
  expect(await store.deletePayload(sha256)).toBe(true);
});

const openIn = (folder: string): Promise<Store> =>
  openSqlite(join(folder, "store.sqlite"), optionsOf());

/** Bytes that differ from part to part. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1000) bytes[at] = (at / 1000) % 251;
  bytes[length - 1] = 1;
  return bytes;
}

function hashOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

async function bytesOf(body: Body): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body : body.read();
}
