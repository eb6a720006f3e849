/**
 * Goal: a large batch is durable when `appendChanges` says so, and neither what was promised before
 * it nor what is promised behind it is lost or overruled by it, whatever the disk does.
 * Method: disks that wait or fail at chosen moments; then what a program finds that starts after a
 * kill. `crash.test.ts` has the same at every moment.
 */

import { describe, expect, test } from "bun:test";
import { brokenDisk, type DiskCall, ioError } from "../../../test/state/disks.ts";
import { fate, foundAfterKill } from "../../../test/state/outcomes.ts";
import {
  addressOf,
  binding,
  type Opened,
  open,
  password,
  put,
  scratch,
} from "../../../test/state/samples.ts";
import type { Ip } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";
import type { Entry } from "./entry.ts";
import type { StateOptions } from "./state.ts";

const LARGE = 8;
const RARE = { snapshotFirstMs: 60_000, snapshotIntervalMs: 60_000, journalChangesMax: LARGE - 1 };

/** A router's memory: what is known at each address, and passwords. */
interface Memory {
  /** Takes changes, and answers them for `appendChanges`. */
  take(changes: readonly Change[]): readonly Change[];
  /** Takes a password, and answers it for `append`. */
  offer(entry: Entry): readonly Entry[];
}

/** Lets a state directory take its snapshots from a memory. */
function remember({ state }: Opened): Memory {
  const known = new Map<Ip, Change>();
  const passwords = new Map<string, Entry>();
  state.provideSnapshot(
    () => [...[...known.values()].map(entryOf), ...passwords.values()],
    (network, address) => known.get(address) ?? { kind: "delete", network, address },
  );
  return {
    take(changes) {
      for (const change of changes) {
        if (change.kind === "put") known.set(change.binding.address, change);
        else if (change.kind === "delete") known.delete(change.address);
      }
      return changes;
    },
    offer(entry) {
      if (entry.kind === "password") passwords.set(entry.record.address, entry);
      return [entry];
    },
  };
}

function entryOf(change: Change): Entry {
  return { kind: "change", change };
}

/** Bindings at addresses 0 and up, in an epoch. */
function puts(count: number, epoch: number): readonly Change[] {
  return Array.from({ length: count }, (_, index) => putOf(index, epoch));
}

function putOf(index: number, epoch: number): Change {
  return { kind: "put", binding: binding(index, { epoch }) };
}

function gone(index: number): Change {
  return { kind: "delete", network: "204", address: addressOf(index) };
}

/** The epoch found at each address; 0 for nothing. */
async function epochsAfterKill(dir: string, count: number): Promise<readonly number[]> {
  const epochs = new Array<number>(count).fill(0);
  for (const entry of await foundAfterKill(dir)) {
    if (entry.kind !== "change" || entry.change.kind !== "put") continue;
    const { address, epoch } = entry.change.binding;
    const index = epochs.findIndex((_, index) => addressOf(index) === address);
    if (index !== -1) epochs[index] = epoch;
  }
  return epochs;
}

const isJournal = (path: string) => path.includes("/journal.");
const isSnapshot = (path: string) => path.endsWith("/snapshot.new");

/** A disk on which a call may be told to wait, or to fail. */
function toldDisk() {
  const calls: string[] = [];
  let failing: (call: DiskCall, path: string) => boolean = () => false;
  let waiting: (call: DiskCall, path: string) => boolean = () => false;
  let release = (_error?: Error): void => {};
  let reach = (): void => {};
  let gate = Promise.resolve();
  const disk = brokenDisk((call, path) => {
    calls.push(`${call} ${path.split("/").at(-1)}`);
    if (failing(call, path)) throw ioError();
    if (!waiting(call, path)) return undefined;
    reach();
    return gate as Promise<never>;
  });
  return {
    disk,
    calls,
    fail(which: typeof failing) {
      failing = which;
    },
    /** Resolves when there is a call that waits. */
    stop(which: typeof waiting): Promise<void> {
      waiting = which;
      gate = new Promise((resolve, reject) => {
        release = (error) => (error === undefined ? resolve() : reject(error));
      });
      return new Promise((resolve) => {
        reach = resolve;
      });
    },
    goOn(error?: Error) {
      waiting = () => false;
      release(error);
    },
  };
}

async function opened(dir: string, more: Partial<StateOptions> = {}): Promise<Opened & Memory> {
  const state = await open(dir, { ...RARE, ...more });
  return { ...state, ...remember(state) };
}

describe("a large batch", () => {
  test("is durable with the snapshot, and does not go through the journal", async () => {
    using folder = scratch();
    const { disk, calls } = toldDisk();
    await using router = await opened(folder.path, { disk });
    await router.state.appendChanges(router.take(puts(LARGE, 1)));
    expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(1));
    expect(calls.filter((call) => call.includes("journal"))).toEqual([]);
  });

  test("of one change less goes through the journal", async () => {
    using folder = scratch();
    const { disk, calls } = toldDisk();
    await using router = await opened(folder.path, { disk });
    const passwords = Array.from({ length: 5 }, (): Change => {
      const { network, address } = binding(1);
      const rest = { epoch: 1, password: "x", via: "t", standing: false };
      return { kind: "password", network, address, ...rest };
    });
    const changes = [...router.take(puts(LARGE - 1, 1)), ...passwords];
    await router.state.appendChanges(changes);
    expect(calls.filter((call) => call.includes("snapshot"))).toEqual([]);
    expect((await foundAfterKill(folder.path)).length).toBe(LARGE - 1);
  });

  test("that ends what was there is gone after a restart too", async () => {
    using folder = scratch();
    await using router = await opened(folder.path);
    for (const change of puts(LARGE, 1)) await router.state.appendChanges(router.take([change]));
    const changes = Array.from({ length: LARGE }, (_, index) => gone(index));
    await router.state.appendChanges(router.take(changes));
    expect(await foundAfterKill(folder.path)).toEqual([]);
  });

  test("soon after another goes through the journal: a snapshot writes everything", async () => {
    using folder = scratch();
    const { disk, calls } = toldDisk();
    await using router = await opened(folder.path, { disk });
    await router.state.appendChanges(router.take(puts(LARGE, 1)));
    calls.length = 0;
    await router.state.appendChanges(router.take(puts(1000, 2)));
    expect(calls.filter((call) => call.includes("snapshot"))).toEqual([]);
    expect(await epochsAfterKill(folder.path, 1000)).toEqual(new Array(1000).fill(2));
  });

  test("is saved when the program ends at once", async () => {
    using folder = scratch();
    {
      await using router = await opened(folder.path);
      router.state.appendChanges(router.take(puts(LARGE, 1))).catch(() => {});
    }
    expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(1));
  });
});

describe("while its snapshot is being written", () => {
  test("what is appended behind a batch is durable at once, and counts against it", async () => {
    using folder = scratch();
    const { disk, stop, goOn } = toldDisk();
    await using router = await opened(folder.path, { disk });
    const { state } = router;
    await state.appendChanges(router.take(puts(3, 1)));
    const reached = stop((call, path) => call === "sync" && isSnapshot(path));
    const batch = fate(state.appendChanges(router.take(puts(LARGE, 2))));
    await reached;
    expect(await fate(state.appendChanges(router.take([putOf(1, 3), gone(2)])))).toBe("durable");
    expect((await epochsAfterKill(folder.path, 4)).slice(0, 4)).toEqual([1, 3, 0, 0]);
    goOn();
    expect(await batch).toBe("durable");
    expect((await epochsAfterKill(folder.path, 4)).slice(0, 4)).toEqual([2, 3, 0, 2]);
  });

  test("a password is durable at once, with the binding that it is meant for", async () => {
    using folder = scratch();
    const { disk, stop, goOn } = toldDisk();
    await using router = await opened(folder.path, { disk });
    const { state } = router;
    const reached = stop((call, path) => call === "sync" && isSnapshot(path));
    const batch = fate(state.appendChanges(router.take(puts(LARGE, 2))));
    await reached;
    expect(await fate(state.append(router.offer(password(1, "secret", 2))))).toBe("durable");
    const found = await foundAfterKill(folder.path);
    expect(found).toEqual([put(1, { epoch: 2 }), password(1, "secret", 2)]);
    goOn();
    expect(await batch).toBe("durable");
    expect((await foundAfterKill(folder.path)).length).toBe(LARGE + 1);
  });

  test("a second batch waits for the next snapshot, or goes through the journal", async () => {
    using folder = scratch();
    const { disk, stop, goOn } = toldDisk();
    await using router = await opened(folder.path, { disk });
    const { state } = router;
    const reached = stop((call, path) => call === "sync" && isSnapshot(path));
    const first = fate(state.appendChanges(router.take(puts(LARGE, 2))));
    await reached;
    const second = fate(state.appendChanges(router.take(puts(LARGE, 3))));
    expect(await second).toBe("durable");
    expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(3));
    goOn();
    expect(await first).toBe("durable");
    expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(3));
  });
});

describe("when the snapshot cannot be written", () => {
  for (const broken of ["create", "write", "sync", "rename"] as const) {
    test(`on ${broken}, the batch is durable through the journal, as it is by then`, async () => {
      using folder = scratch();
      const { disk, stop, fail, goOn } = toldDisk();
      const more = { retryMs: 60_000, snapshotIntervalMs: 0 };
      await using router = await opened(folder.path, { disk, ...more });
      const { state } = router;
      await state.appendChanges(router.take(puts(LARGE + 1, 1)));
      const reached = stop((call, path) => call === broken && isSnapshot(path));
      const batch = fate(state.appendChanges(router.take(puts(LARGE, 2))));
      await reached;
      expect(await epochsAfterKill(folder.path, 1)).toEqual([1]);
      const behind = router.take([putOf(1, 3), gone(2)]);
      expect(await fate(state.appendChanges(behind))).toBe("durable");
      fail((call, path) => call === broken && isSnapshot(path));
      goOn(ioError());
      expect(await batch).toBe("durable");
      const expected = [2, 3, 0, ...new Array<number>(LARGE - 3).fill(2), 1];
      expect(await epochsAfterKill(folder.path, LARGE + 1)).toEqual(expected);
    });
  }

  test("nor the journal, the batch is refused, kept, and written when the disk allows", async () => {
    using folder = scratch();
    const { disk, fail } = toldDisk();
    await using router = await opened(folder.path, { disk });
    const { state } = router;
    fail((call) => call === "write");
    expect(await fate(state.appendChanges(router.take(puts(LARGE, 1))))).toBe("STATE_UNWRITABLE");
    expect(router.held()).toContain("STATE_UNWRITABLE snapshot");
    fail(() => false);
    const began = performance.now();
    while ((await foundAfterKill(folder.path)).length < LARGE) {
      if (performance.now() - began > 5_000) throw new Error("waited in vain");
      await Bun.sleep(10);
    }
    expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(1));
  });
});

test("what failed before the batch is not written behind it as it was then", async () => {
  using folder = scratch();
  const { disk, stop, fail, goOn } = toldDisk();
  await using router = await opened(folder.path, { disk, retryMs: 20 });
  const { state } = router;
  fail((call, path) => call === "write" && isJournal(path));
  expect(await fate(state.appendChanges(router.take([putOf(1, 1)])))).toBe("STATE_UNWRITABLE");
  const reached = stop((call, path) => call === "sync" && isSnapshot(path));
  const batch = fate(state.appendChanges(router.take(puts(LARGE, 2))));
  await reached;
  fail(() => false);
  await Bun.sleep(60); // The journal is tried again, behind the snapshot's cut.
  goOn();
  expect(await batch).toBe("durable");
  expect(await epochsAfterKill(folder.path, LARGE)).toEqual(new Array(LARGE).fill(2));
});
