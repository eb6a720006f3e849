import { describe, expect, test } from "bun:test";
import { cpSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { brokenDisk } from "../../test/state/disks.ts";
import { addressOf, binding, type Opened, open, REALM, scratch } from "../../test/state/samples.ts";
import type { StoredBody } from "../model/binding.ts";
import type { Change } from "../model/change.ts";
import { createLog } from "../observe/log.ts";
import type { Source } from "../source/source.ts";
import { Directory } from "./directory.ts";
import { Feed } from "./feed.ts";
import { Passwords } from "./passwords.ts";
import { BODY_GRACE_MS, JOURNAL_CHANGES_MAX } from "./state/limits.ts";
import type { StateOptions } from "./state/state.ts";

/** How long something in the background may take. ms. */
const PATIENCE_MS = 5_000;

async function until(holds: () => boolean): Promise<void> {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > PATIENCE_MS) throw new Error("waited in vain");
    await Bun.sleep(2);
  }
}

/** A source that says what a test has put into `news`. */
function sourceOf(news: Change[], more: Partial<Source> = {}): Source {
  return {
    poll: async () => news.splice(0),
    async *changes() {},
    networks: () => [],
    endpoints: () => [],
    restore() {},
    async [Symbol.asyncDispose]() {},
    ...more,
  };
}

interface Desk extends AsyncDisposable {
  readonly opened: Opened;
  readonly directory: Directory;
  readonly feed: Feed;
}

/** All that lies between a source and the disk, with what an earlier run knew. */
async function desk(dir: string, more: Partial<StateOptions> = {}): Promise<Desk> {
  const opened = await open(dir, more);
  const { state, conditions } = opened;
  const now = Date.now;
  const journal = state.append.bind(state);
  const { digestKey } = state;
  const passwords = new Passwords({ journal, digestKey, now, conditions });
  const directory = new Directory({ epochBegan() {}, hostNameCut() {} });
  directory.apply(state.recovered.changes);
  const log = createLog({ write() {} } as never, "silent");
  const feed = new Feed({ directory, passwords, state, conditions, log, now });
  state.provideSnapshot(
    () => feed.entries(),
    (network, address) => feed.current(network, address),
  );
  return { opened, directory, feed, [Symbol.asyncDispose]: () => state.close() };
}

async function look({ feed }: Desk, source: Source): Promise<void> {
  await feed.run(source, async () => {}, new AbortController().signal);
}

function putOf(index: number, userData?: Uint8Array): Change {
  return { kind: "put", binding: binding(index, userData === undefined ? {} : { userData }) };
}

describe("large user data", () => {
  const bytes = new Uint8Array(100_000).fill(7);

  /** The user data of the first instance, once it lies on the disk. */
  async function stored({ directory }: Desk): Promise<StoredBody> {
    const body = () => {
      const known = directory.at("204", addressOf(1));
      return known?.kind === "bound" ? known.document.userData : undefined;
    };
    await until(() => body() !== undefined && !(body() instanceof Uint8Array));
    return body() as StoredBody;
  }

  function spoil(dir: string): void {
    const folder = join(dir, "router", REALM, "bodies");
    for (const name of readdirSync(folder)) truncateSync(join(folder, name), 1000);
  }

  test("that is lost on the disk is asked of the source again", async () => {
    using folder = scratch();
    await using router = await desk(folder.path);
    const asked: string[] = [];
    const again = (address: string): readonly Change[] => {
      asked.push(address);
      return [putOf(1, bytes)];
    };
    await look(router, sourceOf([putOf(1, bytes), putOf(2, bytes)], { again }));
    const body = await stored(router);
    spoil(folder.path);
    await expect(body.read()).rejects.toThrow("cannot be read");
    await until(() => asked.length > 0);
    await until(() => router.opened.held().length === 0);
    expect(await body.read()).toEqual(bytes); // For all who have the same.
    expect(asked).toEqual([addressOf(1)]);
  });

  test("that is a part of a payload is asked of the source again too", async () => {
    using folder = scratch();
    await using router = await desk(folder.path);
    const part = await router.opened.state.bodies.store(bytes);
    if (part === undefined) throw new Error("was not stored");
    const payload = { sha256: "a".repeat(64), bytes: bytes.length, parts: [part] };
    const asked: string[] = [];
    const again = (address: string): readonly Change[] => {
      asked.push(address);
      return [];
    };
    const named = binding(2, { payloads: [payload] });
    await look(router, sourceOf([putOf(1), { kind: "put", binding: named }], { again }));
    spoil(folder.path);
    await expect(part.read()).rejects.toThrow("cannot be read");
    await until(() => asked.length > 0);
    expect(asked).toEqual([addressOf(2)]);
  });

  test("that is a part of a payload outlives a restart, and goes when nobody names it", async () => {
    using folder = scratch();
    const payload = { sha256: "a".repeat(64), bytes: bytes.length };
    {
      await using router = await desk(folder.path);
      const part = await router.opened.state.bodies.store(bytes);
      const named = binding(1, { payloads: [{ ...payload, parts: [part as StoredBody] }] });
      await look(router, sourceOf([{ kind: "put", binding: named }]));
    }
    let now = Date.now();
    await using router = await desk(folder.path, { now: () => now });
    const known = router.directory.at("204", addressOf(1));
    const [found] = (known?.kind === "bound" ? known.document.payloads : undefined) ?? [];
    expect(found).toMatchObject(payload);
    const part = found?.parts[0] as StoredBody;
    expect(await part.read()).toEqual(bytes);
    const files = () => readdirSync(join(folder.path, "router", REALM, "bodies")).length;
    await router.opened.state.flush();
    now += 2 * BODY_GRACE_MS;
    router.opened.state.requestSnapshot();
    await router.opened.state.flush();
    expect(files()).toBe(1);
    now += 2 * BODY_GRACE_MS;
    await look(router, sourceOf([putOf(1)]));
    router.opened.state.requestSnapshot();
    await router.opened.state.flush();
    await until(() => files() === 0);
  });

  test("that the source cannot say again is a condition until the next start", async () => {
    using folder = scratch();
    {
      await using router = await desk(folder.path);
      await look(router, sourceOf([putOf(1, bytes)]));
      const body = await stored(router);
      spoil(folder.path);
      await expect(body.read()).rejects.toThrow("cannot be read");
      await until(() => router.opened.held().some((code) => code.startsWith("BODY_UNREADABLE")));
    }
    await using router = await desk(folder.path);
    expect(router.directory.at("204", addressOf(1))).toBeUndefined();
    expect(router.opened.held()).toEqual([]);
  });
});

test("a command behind a first load is safe at once, and does not wait for the snapshot", async () => {
  using folder = scratch();
  let isStuck = true;
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const disk = brokenDisk((call, path) => {
    const waits = isStuck && call === "sync" && path.endsWith("snapshot.new");
    return waits ? (gate as Promise<never>) : undefined;
  });
  await using router = await desk(folder.path, { disk });
  const load = Array.from({ length: JOURNAL_CHANGES_MAX + 1 }, (_, index) => putOf(index));
  const source = sourceOf(load, { apply: () => [putOf(5, new Uint8Array(3))] });
  await look(router, source);
  expect(await router.feed.applyCommand(source, "{}", "vm_metadata")).toBe(1);
  isStuck = false;
  release();
});

test("what a source notes beside a withheld address is there after a restart", async () => {
  using folder = scratch();
  const known = { network: "204", address: addressOf(1), epoch: 3, since: 5 };
  const withheld = { ...known, reason: "awaiting-metadata", note: '{"instance":"a"}' } as const;
  const change: Change = { kind: "withhold", withheld };
  {
    await using router = await desk(folder.path);
    await look(router, sourceOf([change]));
  } // Its last snapshot is written from the directory.
  await using router = await desk(folder.path);
  expect(router.opened.state.recovered.changes).toEqual([change]);
});

test("what a look shows before its end is seen at once, and a command meanwhile is the last word", async () => {
  using folder = scratch();
  const data = (text: string): Uint8Array => new TextEncoder().encode(text);
  const seen: unknown[] = [];
  {
    await using router = await desk(folder.path);
    const userData = (index: number): unknown => {
      const known = router.directory.at("204", addressOf(index));
      return known?.kind === "bound" ? known.document.userData : undefined;
    };
    const source = sourceOf([], {
      poll: async (_, show) => {
        show?.([putOf(1, data("old")), putOf(2, data("shown"))]);
        seen.push(userData(1));
        await router.feed.applyCommand(source, "{}", "vm_metadata");
        return [putOf(3, data("last"))];
      },
      apply: () => [putOf(1, data("new"))],
    });
    // The command waits for the source to have been read; by then it has, in this test.
    await look(router, sourceOf([]));
    await router.feed.look(source, async () => {}, new AbortController().signal);
    seen.push(userData(1), userData(2), userData(3));
    await router.feed.look(sourceOf([]), async () => {}, new AbortController().signal);
  }
  await using again = await desk(folder.path);
  for (const index of [1, 2, 3]) {
    const known = again.directory.at("204", addressOf(index));
    seen.push(known?.kind === "bound" ? known.document.userData : undefined);
  }
  expect(seen).toEqual(["old", "new", "shown", "last", "new", "shown", "last"].map(data));
});

test("what a look has shown is durable though the look fails", async () => {
  using folder = scratch();
  {
    await using router = await desk(folder.path);
    const poll: Source["poll"] = async (_, show) => {
      show?.([putOf(1)]);
      throw new Error("a bug");
    };
    const looked = router.feed.look(sourceOf([], { poll }), async () => {}, AbortSignal.abort());
    await expect(looked).rejects.toThrow("a bug");
  }
  await using again = await desk(folder.path);
  expect(again.directory.size).toBe(1);
});

describe("a command in the middle of a look", () => {
  const put = (epoch: number, instance: string): Change => ({
    kind: "put",
    binding: binding(1, { epoch, instance }),
  });
  const password = (epoch: number, text: string): Change => ({
    ...{ kind: "password", network: "204", address: addressOf(1), epoch, password: text },
    ...{ via: "apply", standing: false },
  });

  /** What is on the disk when the program dies now. */
  async function onDisk(dir: string): Promise<string[]> {
    using copy = scratch();
    cpSync(dir, copy.path, { recursive: true });
    rmSync(join(copy.path, "lock"), { force: true });
    await using again = await open(copy.path);
    const { changes, passwords } = again.state.recovered;
    const bindings = changes.map((change) =>
      change.kind === "put" ? `${change.binding.epoch} ${change.binding.instance}` : change.kind,
    );
    return [...bindings, ...passwords.map(({ epoch, pending }) => `${epoch} ${pending}`)];
  }

  /** One look, with a command when `shown` has been shown and before the look says `last`. */
  async function interrupted(
    dir: string,
    { shown, command, last }: Record<"shown" | "command" | "last", Change[]>,
  ): Promise<{ meanwhile: string[]; after: string[] }> {
    await using router = await desk(dir);
    await look(router, sourceOf([put(1, "X")]));
    let meanwhile: string[] = [];
    const source = sourceOf([], {
      apply: () => command,
      poll: async (_, show) => {
        show?.(shown);
        await router.feed.applyCommand(source, "{}", "command");
        meanwhile = await onDisk(dir);
        return last;
      },
    });
    await router.feed.look(source, async () => {}, new AbortController().signal);
    await router.feed.applyCommand(sourceOf([], { apply: () => [] }), "{}", "command");
    return { meanwhile, after: await onDisk(dir) };
  }

  test("does not keep the look's later word from the disk", async () => {
    using folder = scratch();
    const { after } = await interrupted(folder.path, {
      ...{ shown: [], command: [put(1, "X")], last: [put(2, "Y"), password(2, "for Y")] },
    });
    expect(after).toEqual(["2 Y", "2 for Y"]);
  });

  test("is durable behind what was shown before it", async () => {
    using folder = scratch();
    const { meanwhile } = await interrupted(folder.path, {
      ...{ shown: [put(2, "Y")], command: [password(2, "for Y")], last: [] },
    });
    expect(meanwhile).toEqual(["2 Y", "2 for Y"]);
  });

  test("replaces a password that was shown before it", async () => {
    using folder = scratch();
    const { after } = await interrupted(folder.path, {
      ...{ shown: [put(2, "Y"), password(2, "old")], command: [password(2, "new")], last: [] },
    });
    expect(after).toEqual(["2 Y", "2 new"]);
  });
});
