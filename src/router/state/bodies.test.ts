import { describe, expect, test } from "bun:test";
import {
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { brokenDisk, noSpace } from "../../../test/state/disks.ts";
import { binding, type Opened, open, put, scratch } from "../../../test/state/samples.ts";
import type { StoredBody } from "../../model/binding.ts";
import { StateError } from "../../model/errors.ts";
import { contentHash } from "../../protocol/etag.ts";
import type { Entry } from "./entry.ts";
import { BODY_GRACE_MS } from "./limits.ts";

const FOLDER = "router/router/bodies";

function content(length: number, seed = 1): Uint8Array {
  return new Uint8Array(length).map((_, at) => (at * seed + (at >> 8)) & 255);
}

function files(dir: string): readonly string[] {
  return readdirSync(join(dir, FOLDER));
}

async function store({ state }: Opened, bytes: Uint8Array): Promise<StoredBody> {
  const body = await state.bodies.store(bytes);
  if (body === undefined) throw new Error("was not stored");
  return body;
}

/** The code with which a body cannot be read. */
async function unreadable(body: StoredBody): Promise<string> {
  try {
    await body.read();
  } catch (error) {
    expect(error).toBeInstanceOf(StateError);
    return (error as StateError).code;
  }
  return "readable";
}

describe("a body on the disk", () => {
  const FRAME = 64 * 1024;
  for (const length of [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 1_048_576]) {
    test(`of ${length} bytes is read as it was, with the hash of its content`, async () => {
      using folder = scratch();
      await using opened = await open(folder.path);
      const bytes = content(length);
      const body = await store(opened, bytes);
      expect(body.length).toBe(length);
      expect(body.hash).toBe(contentHash(bytes));
      expect(Buffer.from(await body.read()).equals(bytes)).toBe(true);
    });
  }

  test("is sealed, and its name says nothing", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const bytes = Buffer.from("#cloud-config\npassword: secret\n".repeat(5000));
    const body = await store(opened, bytes);
    const [name = ""] = files(folder.path);
    expect(name).not.toContain(body.hash);
    expect(readFileSync(join(folder.path, FOLDER, name)).includes("secret")).toBe(false);
  });

  test("is there once, however often it is stored, even at the same time", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const bytes = content(200_000);
    await Promise.all(Array.from({ length: 10 }, () => store(opened, bytes.slice())));
    await store(opened, bytes);
    expect(files(folder.path).length).toBe(1);
  });

  test("is found again after a restart by the binding that names it", async () => {
    using folder = scratch();
    const bytes = content(200_000);
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1, { userData: await store(opened, bytes) })]);
    }
    await using again = await open(folder.path);
    const [change] = again.state.recovered.changes;
    const userData = change?.kind === "put" ? change.binding.userData : undefined;
    const read = await (userData as StoredBody).read();
    expect(Buffer.from(read).equals(bytes)).toBe(true);
  });

  test("that a loss of power has emptied takes its binding with it, and can be stored anew", async () => {
    using folder = scratch();
    const bytes = content(200_000);
    {
      await using opened = await open(folder.path);
      await opened.state.append([put(1, { userData: await store(opened, bytes) }), put(2)]);
    }
    const path = join(folder.path, FOLDER, files(folder.path)[0] ?? "");
    truncateSync(path, 0);
    await using again = await open(folder.path);
    expect(again.state.recovered.changes).toEqual([{ kind: "put", binding: binding(2) }]);
    const body = await store(again, bytes);
    expect(Buffer.from(await body.read()).equals(bytes)).toBe(true);
  });

  const damages: Readonly<Record<string, (path: string, other: string) => void>> = {
    "was changed": (path) => {
      const file = readFileSync(path);
      file[70_000] = (file[70_000] as number) ^ 1;
      writeFileSync(path, file);
    },
    "was cut off": (path) => truncateSync(path, statSync(path).size - 1),
    "was cut off at the end of a frame": (path) => truncateSync(path, 64 + 16 + 65_536 + 16),
    "is another's": (path, other) => writeFileSync(path, readFileSync(other)),
  };
  for (const [what, damage] of Object.entries(damages)) {
    test(`that ${what} is not read, and is written anew when it is stored again`, async () => {
      using folder = scratch();
      await using opened = await open(folder.path);
      const bytes = content(200_000);
      const body = await store(opened, bytes);
      const [path = ""] = files(folder.path).map((name) => join(folder.path, FOLDER, name));
      await store(opened, content(200_000, 3));
      const other = files(folder.path).map((name) => join(folder.path, FOLDER, name));
      damage(path, other.find((name) => name !== path) ?? "");
      expect(await unreadable(body)).toBe("STATE_UNREADABLE");
      const anew = await store(opened, bytes);
      expect(Buffer.from(await anew.read()).equals(bytes)).toBe(true);
    });
  }
});

describe("a body that cannot be read", () => {
  /** Cuts off the end of the only body. */
  function spoil(dir: string): void {
    const path = join(dir, FOLDER, files(dir)[0] ?? "");
    truncateSync(path, statSync(path).size - 1);
  }

  test("raises a condition, once, and tells that it is lost; stored anew, all is well", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const bytes = content(200_000);
    const body = await store(opened, bytes);
    const [name] = files(folder.path);
    const lost: unknown[] = [];
    opened.state.bodies.onLost = (ref) => lost.push(ref);
    spoil(folder.path);
    expect(await unreadable(body)).toBe("STATE_UNREADABLE");
    expect(await unreadable(body)).toBe("STATE_UNREADABLE");
    expect(opened.held()).toEqual([`BODY_UNREADABLE ${name}`]);
    expect(lost).toEqual([{ length: body.length, hash: body.hash }]);
    await store(opened, bytes);
    expect(opened.held()).toEqual([]);
    expect((await body.read()).length).toBe(200_000);
  });

  test("can be stored anew at the very moment it is found out", async () => {
    using folder = scratch();
    const disk = brokenDisk((call, path) => {
      const isRemoval = call === "remove" && path.includes(FOLDER) && !path.endsWith(".new");
      return isRemoval ? (Bun.sleep(30) as Promise<never>) : undefined;
    });
    await using opened = await open(folder.path, { disk });
    const bytes = content(200_000);
    const body = await store(opened, bytes);
    let stored: Promise<unknown> | undefined;
    opened.state.bodies.onLost = () => {
      stored = opened.state.bodies.store(bytes);
    };
    spoil(folder.path);
    await unreadable(body);
    expect(await stored).toBeDefined();
    await Bun.sleep(50);
    expect((await body.read()).length).toBe(200_000);
    expect(opened.held()).toEqual([]);
  });

  test("is asked of the source by the next start, though its file has the right size", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      const userData = await store(opened, content(200_000));
      await opened.state.append([put(1, { userData }), put(2)]);
      const path = join(folder.path, FOLDER, files(folder.path)[0] ?? "");
      const file = readFileSync(path);
      file[100] = (file[100] as number) ^ 1;
      writeFileSync(path, file);
      await unreadable(userData);
    }
    await using again = await open(folder.path);
    expect(again.state.recovered.changes).toEqual([{ kind: "put", binding: binding(2) }]);
  });

  test("but for a reason that may pass is kept, and its condition is over when it is read", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const body = await store(opened, content(200_000));
    const [name = ""] = files(folder.path);
    const path = join(folder.path, FOLDER, name);
    renameSync(path, `${path}.kept`);
    symlinkSync(name, path); // ELOOP stands for what an operator or the system may mend.
    expect(await unreadable(body)).toBe("STATE_UNREADABLE");
    expect(opened.held()).toEqual([`BODY_UNREADABLE ${name}`]);
    await Bun.sleep(20);
    unlinkSync(path);
    renameSync(`${path}.kept`, path);
    expect((await body.read()).length).toBe(200_000);
    expect(opened.held()).toEqual([]);
  });

  test("has no condition any more when no binding names it", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    const userData = await store(opened, content(200_000));
    const all: Entry[] = [put(1, { userData })];
    opened.state.provideSnapshot(() => all);
    spoil(folder.path);
    await unreadable(userData);
    const save = async (): Promise<void> => {
      opened.state.requestSnapshot();
      await opened.state.flush();
    };
    await save();
    expect(opened.held().length).toBe(1);
    all.length = 0;
    await save();
    expect(opened.held()).toEqual([]);
  });
});

describe("bodies that nothing names", () => {
  test("are removed after a snapshot, and those that a binding names are kept", async () => {
    using folder = scratch();
    let time = 1_000_000;
    await using opened = await open(folder.path, { now: () => time });
    const all: Entry[] = [];
    opened.state.provideSnapshot(() => all);
    const bodies = [];
    for (let index = 0; index < 4; index++)
      bodies.push(await store(opened, content(70_000, index)));
    const [named, appended, fresh, unnamed] = bodies as [
      StoredBody,
      StoredBody,
      StoredBody,
      StoredBody,
    ];
    all.push(put(1, { userData: named }));
    time += BODY_GRACE_MS + 1;
    await store(opened, content(70_000, 2)); // On its way to a binding.
    opened.state.requestSnapshot();
    const flushed = opened.state.flush();
    await opened.state.append([put(2, { userData: appended })]);
    await flushed;
    for (const body of [named, appended, fresh]) expect((await body.read()).length).toBe(70_000);
    expect(await unreadable(unnamed)).toBe("STATE_UNREADABLE");
    expect(files(folder.path).length).toBe(3);
  });

  test("are not those of a snapshot during which the clock was set forward", async () => {
    using folder = scratch();
    let time = 1_000_000;
    await using opened = await open(folder.path, { now: () => time });
    const userData = await store(opened, content(70_000));
    opened.state.provideSnapshot(function* () {
      yield put(1, { userData });
      time += 24 * 3_600_000;
      yield put(2);
    });
    opened.state.requestSnapshot();
    await opened.state.flush();
    expect((await userData.read()).length).toBe(70_000);
  });

  test("of an earlier run are removed too, and what was half written then", async () => {
    using folder = scratch();
    {
      await using opened = await open(folder.path);
      await store(opened, content(70_000));
    }
    writeFileSync(join(folder.path, FOLDER, `${"a".repeat(32)}.new`), "half");
    let time = 1;
    await using opened = await open(folder.path, { now: () => time });
    opened.state.provideSnapshot(() => []);
    time += BODY_GRACE_MS + 1;
    opened.state.requestSnapshot();
    await opened.state.flush();
    expect(files(folder.path)).toEqual([]);
  });
});

describe("room for bodies", () => {
  test("has a bound over all of them, earlier runs included", async () => {
    using folder = scratch();
    const more = { bodiesBytesMax: 250_000 };
    {
      await using opened = await open(folder.path, more);
      await store(opened, content(100_000, 1));
    }
    await using opened = await open(folder.path, more);
    await store(opened, content(100_000, 2));
    expect(await opened.state.bodies.store(content(100_000, 3))).toBeUndefined();
    expect(opened.held()).toEqual(["STATE_UNWRITABLE bodies"]);
    await store(opened, content(30_000, 4));
    expect(opened.held()).toEqual([]);
  });

  test("is not passed by many at once", async () => {
    using folder = scratch();
    await using opened = await open(folder.path, { bodiesBytesMax: 350_000 });
    const stored = await Promise.all(
      Array.from({ length: 10 }, (_, index) => opened.state.bodies.store(content(100_000, index))),
    );
    expect(stored.filter((body) => body !== undefined).length).toBe(3);
  });

  test("that is missing on the disk leaves the body to the caller, with a condition", async () => {
    using folder = scratch();
    let isFull = false;
    const disk = brokenDisk((call, path) => {
      if (isFull && call === "write" && path.includes(FOLDER)) throw noSpace();
      return undefined;
    });
    await using opened = await open(folder.path, { disk });
    isFull = true;
    expect(await opened.state.bodies.store(content(100_000))).toBeUndefined();
    expect(opened.held()).toEqual(["STATE_UNWRITABLE bodies"]);
    expect(files(folder.path)).toEqual([]);
    isFull = false;
    await store(opened, content(100_000));
    expect(opened.held()).toEqual([]);
  });
});

test("a snapshot makes the bodies that it names durable before it counts", async () => {
  using folder = scratch();
  const calls: string[] = [];
  const disk = brokenDisk((call, path) => {
    const isBody = path.includes(FOLDER);
    if (call === "syncFile" || call === "syncFolder" || call === "rename") {
      calls.push(`${call} ${isBody ? "body" : path.split("/").at(-1)}`);
    }
    return undefined;
  });
  await using opened = await open(folder.path, { disk });
  const userData = await store(opened, content(100_000));
  opened.state.provideSnapshot(() => [put(1, { userData })]);
  calls.length = 0;
  opened.state.requestSnapshot();
  await opened.state.flush();
  const order = ["syncFile body", "syncFolder body", "rename snapshot.new", "syncFolder router"];
  expect(calls).toEqual(order);
});
