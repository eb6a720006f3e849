import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brokenDisk, type DiskCall, ioError, noSpace } from "../../../test/state/disks.ts";
import { fate, found, until } from "../../../test/state/outcomes.ts";
import { entriesOf, open, password, put, scratch } from "../../../test/state/samples.ts";
import type { Entry } from "./entry.ts";

const isRoot = process.geteuid?.() === 0 && process.platform === "linux";
if (!isRoot) console.log("skipped: the state directory on a full tmpfs needs root and Linux");

const isJournal = (path: string) => path.includes("journal");

describe("when the disk is full", () => {
  test("an append is refused, kept, and written when there is room again", async () => {
    using folder = scratch();
    let isFull = false;
    const disk = brokenDisk((call, path) => {
      return isFull && call === "write" && isJournal(path) ? 0 : undefined;
    });
    {
      await using opened = await open(folder.path, { disk });
      expect(await fate(opened.state.append([put(1)]))).toBe("durable");
      isFull = true;
      expect(await fate(opened.state.append([put(2)]))).toBe("STATE_UNWRITABLE");
      expect(await fate(opened.state.append([put(3)]))).toBe("STATE_UNWRITABLE");
      expect(opened.held()).toEqual(["STATE_UNWRITABLE journal"]);
      isFull = false;
      await until(() => opened.held().length === 0);
      expect(await fate(opened.state.append([put(4)]))).toBe("durable");
    }
    expect(await found(folder.path)).toEqual([put(1), put(2), put(3), put(4)]);
  });

  /** The second of three appends fails: `onFailure` says how, from then on. */
  async function failSecond(onFailure: (call: DiskCall) => number | undefined): Promise<void> {
    using folder = scratch();
    let isFailing = false;
    const disk = brokenDisk((call, path) =>
      isFailing && isJournal(path) ? onFailure(call) : undefined,
    );
    {
      await using opened = await open(folder.path, { disk });
      await opened.state.append([put(1)]);
      isFailing = true;
      expect(await fate(opened.state.append([put(2)]))).toBe("STATE_UNWRITABLE");
      await until(() => opened.held().length === 0);
      await opened.state.append([put(3)]);
    }
    expect(await found(folder.path)).toEqual([put(1), put(2), put(3)]);
  }

  for (let reaches = 0; reaches < 40; reaches += 3) {
    test(`after ${reaches} bytes of a frame, what follows is not spoilt by them`, async () => {
      let failures = 0;
      await failSecond((call) => (call === "write" && failures++ === 0 ? reaches : undefined));
    });
  }

  test("and what was half written cannot even be cut off, it is cut off when it is read", async () => {
    let failures = 0;
    await failSecond((call) => {
      if (call === "truncate") throw ioError();
      return call === "write" && failures++ === 0 ? 100 : undefined;
    });
  });

  test("no files pile up while it is tried again", async () => {
    using folder = scratch();
    let isFull = false;
    let attempts = 0;
    const disk = brokenDisk((call, path) => {
      if (!isFull || call !== "write" || !isJournal(path)) return undefined;
      attempts++;
      return 10;
    });
    await using opened = await open(folder.path, { disk, retryMs: 2 });
    await opened.state.append([put(1)]);
    isFull = true;
    await fate(opened.state.append([put(2)]));
    await until(() => attempts > 10);
    expect(readdirSync(join(folder.path, "router/router")).length).toBeLessThanOrEqual(3);
  });

  test("the start succeeds, with what is there", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1)]);
    }
    const disk = brokenDisk((call) => (call === "write" ? 0 : undefined));
    await using opened = await open(folder.path, { disk });
    expect(entriesOf(opened.state)).toEqual([put(1)]);
    expect(await fate(opened.state.append([put(2)]))).toBe("STATE_UNWRITABLE");
  });

  test("a first start succeeds too, and everything is made when there is room", async () => {
    using folder = scratch();
    let isFull = true;
    const disk = brokenDisk((call) => {
      if (isFull && (call === "create" || call === "makeFolder")) throw noSpace();
      return undefined;
    });
    {
      await using opened = await open(join(folder.path, "state"), { disk });
      expect(opened.held()).toEqual(["STATE_UNWRITABLE state"]);
      expect(await fate(opened.state.append([put(1)]))).toBe("STATE_UNWRITABLE");
      expect(await opened.state.bodies.store(new Uint8Array(100))).toBeUndefined();
      isFull = false;
      await until(() => !opened.held().some((code) => /state$|journal$/.test(code)));
      expect(await opened.state.bodies.store(new Uint8Array(100))).toBeDefined();
      expect(opened.held()).toEqual([]);
    }
    expect(await found(join(folder.path, "state"))).toEqual([put(1)]);
  });

  test("a snapshot that fails leaves the old one and the journal as they were", async () => {
    using folder = scratch();
    let isFull = false;
    const disk = brokenDisk((call, path) => {
      return isFull && call === "write" && path.includes("snapshot") ? 10 : undefined;
    });
    {
      await using opened = await open(folder.path, { disk });
      const all = [put(1)];
      opened.state.provideSnapshot(() => all);
      await opened.state.append([put(1)]);
      await opened.state.flush();
      all.push(put(2));
      await opened.state.append([put(2)]);
      isFull = true;
      expect(await fate(opened.state.flush())).toBe("STATE_UNWRITABLE");
      expect(opened.held()).toEqual(["STATE_UNWRITABLE snapshot"]);
      expect(readdirSync(join(folder.path, "router/router"))).not.toContain("snapshot.new");
    }
    expect(await found(folder.path)).toEqual([put(1), put(2)]);
  });

  test("what is more than may be kept is made durable by the next snapshot", async () => {
    using folder = scratch();
    let isFull = false;
    const disk = brokenDisk((call) => (isFull && call === "write" ? 0 : undefined));
    const all: Entry[] = [];
    {
      const times = { snapshotFirstMs: 60_000, snapshotIntervalMs: 60_000 };
      await using opened = await open(folder.path, { disk, ...times });
      opened.state.provideSnapshot(() => all);
      isFull = true;
      for (let index = 0; index < 40; index++) {
        const entry = put(index, { userData: new Uint8Array(1_000_000).fill(index) });
        all.push(entry);
        expect(await fate(opened.state.append([entry]))).toBe("STATE_UNWRITABLE");
      }
      isFull = false;
      await until(() => opened.held().length === 0);
    }
    expect((await found(folder.path)).length).toBe(40);
  }, 20_000);
});

describe("when the disk reports an error", () => {
  const calls: readonly DiskCall[] = ["create", "write", "sync", "syncFolder"];
  for (const broken of calls) {
    test(`on ${broken}, an append is refused, and durable when it works again`, async () => {
      using folder = scratch();
      let isBroken = false;
      const disk = brokenDisk((call) => {
        if (isBroken && call === broken) throw ioError();
        return undefined;
      });
      {
        await using opened = await open(folder.path, { disk });
        isBroken = true;
        expect(await fate(opened.state.append([password(1, "secret")]))).toBe("STATE_UNWRITABLE");
        isBroken = false;
        await until(() => opened.held().length === 0);
      }
      expect(await found(folder.path)).toEqual([password(1, "secret")]);
    });
  }

  test("on a sync, nothing more goes into that file: its pages may be lost", async () => {
    using folder = scratch();
    let isBroken = false;
    const written: string[] = [];
    const disk = brokenDisk((call, path) => {
      if (call === "write" && isJournal(path)) written.push(path.split("/").at(-1) ?? "");
      if (call === "sync" && isBroken) throw ioError();
      return undefined;
    });
    await using opened = await open(folder.path, { disk });
    await opened.state.append([put(1)]);
    isBroken = true;
    await fate(opened.state.append([put(2)]));
    isBroken = false;
    await until(() => opened.held().length === 0);
    expect(written.slice(0, 3)).toEqual(["journal.1", "journal.1", "journal.1"]);
    expect(written.slice(3).every((name) => name === "journal.2")).toBe(true);
    expect(written.length).toBeGreaterThan(3);
  });
});

test.skipIf(!isRoot)(
  "a real disk, filled to the last byte: nothing is lost that was promised",
  async () => {
    using folder = scratch();
    using disk = mountSmallDisk(folder.path);
    const state = join(disk.path, "state");
    const filler = join(disk.path, "filler");
    const all: Entry[] = [];
    const promised = new Set<number>();
    {
      await using opened = await open(state);
      opened.state.provideSnapshot(() => all);
      for (let index = 0; index < 40; index++) {
        if (index === 5) fill(filler);
        all.push(put(index));
        if ((await fate(opened.state.append([put(index)]))) === "durable") promised.add(index);
      }
      expect(promised.size).toBeGreaterThanOrEqual(5);
      expect(promised.size).toBeLessThan(40);
      expect(opened.held()).toEqual(["STATE_UNWRITABLE journal"]);
      expect(await fate(opened.state.flush())).toBe("STATE_UNWRITABLE");
    }
    {
      await using opened = await open(state); // Still full.
      const known = entriesOf(opened.state);
      for (const index of promised) expect(known).toContainEqual(put(index));
      opened.state.provideSnapshot(() => all);
      rmSync(filler);
      opened.state.requestSnapshot();
      await until(() => opened.held().length === 0);
      await opened.state.flush();
    }
    expect((await found(state)).length).toBe(40);
  },
);

function mountSmallDisk(folder: string): Disposable & { readonly path: string } {
  const path = join(folder, "mount");
  mkdirSync(path);
  const options = ["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", path];
  expect(spawnSync("mount", options).status).toBe(0);
  return { path, [Symbol.dispose]: () => expect(spawnSync("umount", [path]).status).toBe(0) };
}

/** Takes all room, to the last byte. */
function fill(path: string): void {
  for (const size of [65_536, 4_096, 512, 1]) {
    for (;;) {
      try {
        writeFileSync(path, Buffer.alloc(size), { flag: "a" });
      } catch {
        break;
      }
    }
  }
}
