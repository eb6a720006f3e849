import { describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  addressOf,
  binding,
  entriesOf,
  type Opened,
  open,
  password,
  put,
  scratch,
} from "../../../test/state/samples.ts";
import type { Entry } from "./entry.ts";

const REALM_FOLDER = "router/router";

function filesOf(dir: string): readonly string[] {
  return readdirSync(join(dir, REALM_FOLDER)).sort();
}

/** Memory as an owner keeps it: the last entry of each address. */
function memory(): { readonly all: Map<string, Entry>; take(...entries: Entry[]): Entry[] } {
  const all = new Map<string, Entry>();
  return {
    all,
    take(...entries) {
      for (const entry of entries) {
        if (entry.kind === "password") all.set(`p ${entry.record.address}`, entry);
        else if (entry.change.kind === "put") all.set(`b ${entry.change.binding.address}`, entry);
      }
      return entries;
    },
  };
}

async function restarted<T>(dir: string, look: (opened: Opened) => T): Promise<T> {
  await using opened = await open(dir);
  return look(opened);
}

const remembered = (opened: Opened) => entriesOf(opened.state);

describe("after a restart", () => {
  test("everything that was appended is there", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1), put(2)]);
      await opened.state.append([password(2, "secret")]);
    }
    const found = await restarted(folder.path, remembered);
    expect(found).toEqual([put(1), put(2), password(2, "secret")]);
  });

  test("the last word on an address counts, and what was deleted is gone", async () => {
    using folder = scratch();
    const gone = { kind: "delete", network: "204", address: addressOf(2) } as const;
    const withheld = { network: "204", address: addressOf(3), reason: "no-lease" } as const;
    const withhold = { kind: "withhold", withheld: { ...withheld, epoch: 4, since: 5 } } as const;
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1), put(2), put(3)]);
      await opened.state.append([put(1, { epoch: 2 }), { kind: "change", change: gone }]);
      await opened.state.append([{ kind: "change", change: withhold }]);
    }
    const found = await restarted(folder.path, remembered);
    expect(found).toEqual([put(1, { epoch: 2 }), { kind: "change", change: withhold }]);
  });

  test("it is no first start any more", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      expect(opened.state.firstStart).toBe(true);
    }
    {
      await using opened = await open(folder.path);
      expect(opened.state.firstStart).toBe(true); // Nothing had been written.
      await opened.state.append([put(1)]);
    }
    expect(await restarted(folder.path, ({ state }) => state.firstStart)).toBe(false);
  });

  test("no file is written on: what was torn stays as it was, and all before it is kept", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1)]);
      await opened.state.append([put(2)]);
    }
    const first = join(folder.path, REALM_FOLDER, "journal.1");
    const torn = readFileSync(first).subarray(0, -5);
    writeFileSync(first, torn);
    {
      await using opened = await open(folder.path);
      expect(remembered(opened)).toEqual([put(1)]);
      await opened.state.append([put(3)]);
    }
    expect(readFileSync(first).equals(torn)).toBe(true);
    expect(await restarted(folder.path, remembered)).toEqual([put(1), put(3)]);
  });
});

describe("a snapshot", () => {
  test("takes the journal's place", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      const { all, take } = memory();
      opened.state.provideSnapshot(() => all.values());
      for (let index = 0; index < 50; index++) await opened.state.append(take(put(index)));
      await opened.state.append(take(password(1, "secret")));
      await opened.state.flush();
      expect(filesOf(folder.path)).toEqual(["bodies", "snapshot"]);
    }
    const found = await restarted(folder.path, remembered);
    expect(found.length).toBe(51);
    expect(found).toContainEqual(password(1, "secret"));
  });

  test("and what is appended while it is written are both there afterwards", async () => {
    using folder = scratch();
    const { all, take } = memory();
    {
      await using opened = await open(folder.path, { snapshotIntervalMs: 0 });
      await opened.state.append(take(...Array.from({ length: 2000 }, (_, index) => put(index))));
      opened.state.provideSnapshot(() => all.values());
      const flushed = opened.state.flush();
      const appended: Promise<void>[] = [];
      for (let index = 0; index < 200; index++) {
        appended.push(opened.state.append(take(put(index * 11, { epoch: index + 2 }))));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(appended);
      await flushed;
    }
    const found = await restarted(folder.path, remembered);
    expect(new Set(found)).toEqual(new Set(all.values()));
  });

  test("is written at most once in its interval, however much changes", async () => {
    using folder = scratch();
    let written = 0;
    await using opened = await open(folder.path, { snapshotFirstMs: 0, snapshotIntervalMs: 150 });
    opened.state.provideSnapshot(() => {
      written++;
      return [put(1)];
    });
    const began = performance.now();
    while (performance.now() - began < 400) await opened.state.append([put(1)]);
    expect(written).toBeGreaterThanOrEqual(2);
    expect(written).toBeLessThanOrEqual(4);
  });

  test("is not written again when nothing has changed", async () => {
    using folder = scratch();
    let written = 0;
    await using opened = await open(folder.path, { snapshotFirstMs: 0, snapshotIntervalMs: 1 });
    opened.state.provideSnapshot(() => {
      written++;
      return [];
    });
    opened.state.requestSnapshot();
    await Bun.sleep(60);
    expect(written).toBe(1);
    await opened.state.flush();
    expect(written).toBe(1);
  });

  test("comes early when the journal has grown too long", async () => {
    using folder = scratch();
    const more = { snapshotFirstMs: 60_000, snapshotIntervalMs: 60_000, journalBytesMax: 20_000 };
    await using opened = await open(folder.path, more);
    const { all, take } = memory();
    opened.state.provideSnapshot(() => all.values());
    for (let index = 0; index < 200; index++) await opened.state.append(take(put(index % 5)));
    await Bun.sleep(50);
    expect(filesOf(folder.path)).toContain("snapshot");
  });

  test("lets others work: ten thousand instances, and no turn takes long", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const all = Array.from({ length: 10_000 }, (_, index) => put(index));
    opened.state.provideSnapshot(() => all);
    opened.state.requestSnapshot();
    await opened.state.flush(); // Once, so that the code is compiled.
    opened.state.requestSnapshot();
    const turns: number[] = [];
    let last = performance.now();
    const flushed = opened.state.flush();
    let done = false;
    void flushed.then(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      turns.push(performance.now() - last);
      last = performance.now();
    }
    turns.sort((a, b) => a - b);
    expect(turns.length).toBeGreaterThan(40);
    // The machine may be busy with other things, so not each turn can be asked to be short.
    expect(turns[turns.length >> 1]).toBeLessThan(5);
  });
});

describe("state that cannot be relied on", () => {
  async function prepare(dir: string): Promise<void> {
    await using opened = await open(dir);
    opened.state.provideSnapshot(() => [put(1)]);
    await opened.state.append([put(1)]);
    await opened.state.flush();
    await opened.state.append([put(2)]);
    await opened.state.append([put(3)]);
    await opened.state.append([password(3, "secret")]);
    cpSync(join(dir, REALM_FOLDER), join(dir, "copy"), { recursive: true });
  }

  /** Puts the state back as it was before the program ended in order. */
  function damaged(dir: string, name: string, change: (bytes: Buffer) => Buffer): void {
    cpSync(join(dir, "copy"), join(dir, REALM_FOLDER), { recursive: true, force: true });
    const path = join(dir, REALM_FOLDER, name);
    writeFileSync(path, change(readFileSync(path)));
  }

  const spoil = (at: number) => (bytes: Buffer) => {
    bytes[at] = (bytes[at] as number) ^ 255;
    return bytes;
  };

  const cases: Readonly<Record<string, readonly [string, (bytes: Buffer) => Buffer]>> = {
    "a snapshot that was changed": ["snapshot", spoil(120)],
    "a snapshot that ends too early": ["snapshot", (bytes) => bytes.subarray(0, -1)],
    "a journal that was changed in the middle": ["journal.2", spoil(120)],
    "a journal with the header of another": ["journal.2", spoil(30)],
  };
  for (const [what, [name, change]] of Object.entries(cases)) {
    test(`${what}: all is set aside, the start is empty, a condition names the file`, async () => {
      using folder = scratch();
      await prepare(folder.path);
      damaged(folder.path, name, change);
      await using opened = await open(folder.path);
      expect(remembered(opened)).toEqual([]);
      expect(opened.state.setAside).toBe(true);
      expect(opened.state.firstStart).toBe(false);
      expect(opened.held()).toEqual([`STATE_SET_ASIDE ${name}`]);
      expect(filesOf(folder.path).filter((file) => file.includes(".aside-")).length).toBe(2);
      await opened.state.append([put(9)]);
      await opened.state.close();
      expect(await restarted(folder.path, remembered)).toEqual([put(9)]);
    });
  }

  test("another seal key: all is set aside", async () => {
    using folder = scratch();
    await prepare(folder.path);
    writeFileSync(join(folder.path, "seal.key"), Buffer.alloc(32, 1));
    await using opened = await open(folder.path);
    expect(remembered(opened)).toEqual([]);
    expect(opened.state.setAside).toBe(true);
  });

  test("only three sets are kept aside", async () => {
    using folder = scratch();
    for (let round = 1; round <= 5; round++) {
      writeFileSync(join(folder.path, "seal.key"), Buffer.alloc(32, round), { mode: 0o600 });
      await using opened = await open(folder.path, { now: () => round });
      await opened.state.append([put(1)]);
    }
    const aside = filesOf(folder.path).flatMap((name) => /\.aside-(.*)/.exec(name)?.[1] ?? []);
    expect(aside).toEqual(["3", "4", "5"]);
  });

  test("never mixes: a binding without the change that ended it is not served", async () => {
    using folder = scratch();
    await prepare(folder.path);
    // The snapshot alone would still say that address 1 is bound.
    damaged(folder.path, "journal.2", spoil(120));
    const found = await restarted(folder.path, remembered);
    expect(found).not.toContainEqual(put(1));
  });
});

test("realms share a directory one after the other, and see nothing of each other", async () => {
  using folder = scratch();
  {
    await using opened = await open(folder.path, { realm: "one" });
    await opened.state.append([put(1)]);
  }
  await using opened = await open(folder.path, { realm: "two" });
  expect(entriesOf(opened.state)).toEqual([]);
  expect(opened.state.firstStart).toBe(true);
});

test("an append after the end is refused, and nothing is written", async () => {
  using folder = scratch();
  const opened = await open(folder.path);
  await opened.state.close();
  expect(opened.state.append([put(1)])).rejects.toThrow("closed");
  expect(await restarted(folder.path, remembered)).toEqual([]);
});

test("a hundred appends at once share a few writes", async () => {
  using folder = scratch();
  await using opened = await open(folder.path);
  await Promise.all(Array.from({ length: 100 }, (_, index) => opened.state.append([put(index)])));
  const journal = readFileSync(join(folder.path, REALM_FOLDER, "journal.1"));
  // A frame of its own for each would repeat what the instances have in common.
  const single = binding(1).keys.reduce((sum, [name]) => sum + name.length, 0);
  expect(journal.length).toBeLessThan(100 * (single + 500));
  expect(journal.toString("latin1").split("1fDF").length - 1).toBeLessThan(10);
});
