import { describe, expect, test } from "bun:test";
import { brokenDisk, ioError } from "../../../test/state/disks.ts";
import { fate, foundAfterKill, until } from "../../../test/state/outcomes.ts";
import { MEMORY, open, password, put, scratch } from "../../../test/state/samples.ts";
import type { Entry } from "./entry.ts";

const isJournal = (path: string) => path.includes("journal");

test("a disk that never answers holds up nobody beyond what may wait", async () => {
  using folder = scratch();
  let release = (): void => {};
  let isStuck = false;
  const disk = brokenDisk((call) => {
    if (!isStuck || call !== "sync") return undefined;
    return new Promise<never>((resolve) => {
      release = resolve as () => void;
    });
  });
  const entry = put(1, { userData: new Uint8Array(4_000_000) });
  await using opened = await open(folder.path, { disk });
  isStuck = true;
  const appends = Array.from({ length: 7 }, () => fate(opened.state.append([entry])));
  expect(await Promise.race(appends)).toBe("STATE_UNWRITABLE");
  expect(opened.held()).toEqual(["STATE_UNWRITABLE journal"]);
  isStuck = false;
  release();
  await until(() => opened.held().length === 0);
  expect(await fate(opened.state.append([put(2)]))).toBe("durable");
});

describe("when a write hangs until more waits than may", () => {
  /** A disk whose next sync of a journal hangs until it is released, with an error or without. */
  function stuckDisk() {
    const gate = Promise.withResolvers<never>();
    let isStuck = false;
    let isReached = false;
    const disk = brokenDisk((call, path) => {
      if (!isStuck || call !== "sync" || !isJournal(path)) return undefined;
      isReached = true;
      return gate.promise;
    });
    return {
      disk,
      reached: () => until(() => isReached),
      stick: () => {
        isStuck = true;
      },
      release: (error?: Error) => {
        isStuck = false;
        if (error === undefined) (gate.resolve as () => void)();
        else gate.reject(error);
      },
    };
  }

  const RARE = { snapshotFirstMs: 60_000, snapshotIntervalMs: 60_000 };
  const MIB = new Uint8Array(1024 * 1024);

  for (const error of [undefined, ioError()]) {
    test(`a snapshot meanwhile takes no file away that goes on (${error ?? "slow"})`, async () => {
      using folder = scratch();
      const { disk, stick, reached, release } = stuckDisk();
      await using opened = await open(folder.path, { disk, ...RARE });
      const { state } = opened;
      const all: Entry[] = [put(1, { epoch: 1 })];
      state.provideSnapshot(() => all);
      await state.append(all);
      stick();
      const appends = Array.from({ length: 22 }, (_, index) => {
        all.push(put(10 + index, { userData: MIB }));
        return fate(state.append(all.slice(-1)));
      });
      await until(() => opened.held().length > 0);
      all[0] = put(1, { epoch: 2 });
      appends.push(fate(state.append(all.slice(0, 1))));
      const saved = fate(state.flush());
      await reached();
      await Bun.sleep(50);
      release(error);
      expect(await saved).toBe("durable");
      await Promise.all(appends);
      await until(() => opened.held().length === 0);
      expect(await fate(state.append([password(1, "secret")]))).toBe("durable");
      const after = await foundAfterKill(folder.path);
      expect(after).toContainEqual(password(1, "secret"));
      expect(after).toContainEqual(put(1, { epoch: 2 }));
    });
  }

  test("and then fails, what was appended later is still the later", async () => {
    using folder = scratch();
    const { disk, stick, reached, release } = stuckDisk();
    await using opened = await open(folder.path, { disk, ...RARE });
    const { state } = opened;
    await state.append([put(9)]);
    stick();
    const first = fate(state.append([put(1, { epoch: 1 })]));
    await reached();
    const others = Array.from({ length: 22 }, (_, index) =>
      fate(state.append([put(10 + index, { userData: MIB })])),
    );
    const later = fate(state.append([put(1, { epoch: 2 })]));
    expect(await later).toBe("STATE_UNWRITABLE");
    release(ioError());
    expect(await first).toBe("STATE_UNWRITABLE");
    await Promise.all(others);
    await until(() => opened.held().length === 0);
    expect(await foundAfterKill(folder.path)).toContainEqual(put(1, { epoch: 2 }));
  });

  test("one append may be as large as a source: what follows it is durable", async () => {
    using folder = scratch(MEMORY);
    await using opened = await open(folder.path, RARE);
    const userData = new Uint8Array(2048);
    const all = Array.from({ length: 10_000 }, (_, index) => put(index, { userData }));
    const first = fate(opened.state.append(all));
    const next = [1, 2].map((index) => fate(opened.state.append([password(index, "secret")])));
    expect(await Promise.all([first, ...next])).toEqual(["durable", "durable", "durable"]);
    expect(opened.held()).toEqual([]);
  });
});
