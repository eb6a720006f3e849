import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { open, put, scratch } from "../../../test/state/samples.ts";
import { StateError } from "../../model/errors.ts";

const isRoot = process.geteuid?.() === 0;

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** The code and message with which a directory is refused. */
async function refusal(dir: string, more: { sealKeyFile?: string } = {}): Promise<string> {
  try {
    await using _ = await open(dir, more);
  } catch (error) {
    expect(error).toBeInstanceOf(StateError);
    const { code, message } = error as StateError;
    return `${code} ${message}`;
  }
  throw new Error("was not refused");
}

/** A folder with files, and folders whose names end with a slash. */
function filled(names: readonly string[], mode: number): ReturnType<typeof scratch> {
  const folder = scratch();
  for (const name of names) {
    if (name.endsWith("/")) mkdirSync(join(folder.path, name));
    else writeFileSync(join(folder.path, name), "", { mode: 0o600 });
  }
  chmodSync(folder.path, mode);
  return folder;
}

describe("the state directory", () => {
  test("is made private at the first start, with a key and a format", async () => {
    using folder = scratch();
    const dir = join(folder.path, "a", "b");
    await using opened = await open(dir);
    expect(opened.state.firstStart).toBe(true);
    expect(modeOf(dir)).toBe("700");
    for (const name of ["run", "router", "router/router"]) {
      expect(`${name} ${modeOf(join(dir, name))}`).toBe(`${name} 700`);
    }
    for (const name of ["seal.key", "lock", "format"]) {
      expect(`${name} ${modeOf(join(dir, name))}`).toBe(`${name} 600`);
    }
    expect(statSync(join(dir, "seal.key")).size).toBe(32);
    expect(readFileSync(join(dir, "format"), "utf8")).toBe("1\n");
  });

  test("that others could read is made private", async () => {
    using folder = scratch();
    chmodSync(folder.path, 0o755);
    await using _ = await open(folder.path);
    expect(modeOf(folder.path)).toBe("700");
  });

  test("in which all files are private", async () => {
    using folder = scratch();
    await using opened = await open(folder.path);
    opened.state.provideSnapshot(() => [put(1)]);
    await opened.state.append([put(1)]);
    await opened.state.bodies.store(new Uint8Array(100_000));
    await opened.state.flush();
    await opened.state.append([put(1)]);
    const realm = join(folder.path, "router", "router");
    for (const name of ["snapshot", "journal.2"]) {
      expect(`${name} ${modeOf(join(realm, name))}`).toBe(`${name} 600`);
    }
  });

  test("is opened by one program at a time", async () => {
    using folder = scratch();
    await using _ = await open(folder.path);
    expect(await refusal(folder.path)).toContain(`process ${process.pid}`);
  });

  test("that is a file is refused, with its path", async () => {
    using folder = scratch();
    const dir = join(folder.path, "file");
    writeFileSync(dir, "");
    expect(await refusal(dir)).toStartWith(`STATE_FOREIGN ${dir} is a file; choose another`);
  });

  // A file ends without a slash, a folder with one.
  const others = [["notes.txt"], ["run/", "lock/", "lib/"], ["format/"], ["run/", "a.conf"]];
  for (const names of others) {
    test(`that is another's, as one with ${names.join(" ")}, is refused as it was`, async () => {
      using folder = filled(names, 0o755);
      expect(await refusal(folder.path)).toStartWith("STATE_FOREIGN");
      expect(modeOf(folder.path)).toBe("755");
      expect(readdirSync(folder.path).length).toBe(names.length);
    });
  }

  test("for everybody is refused, though it is empty, and stays so", async () => {
    using folder = filled([], 0o1777);
    expect(await refusal(folder.path)).toStartWith("STATE_FOREIGN");
    expect(statSync(folder.path).mode & 0o7777).toBe(0o1777);
  });

  const ours = [
    ...[["run/"], ["lost+found/"], ["tokens"], ["admin.env", "notes.txt"], ["store.sqlite-wal"]],
    ...[["run/", "router/"], ["lock.12.ab", "run/"], ["seal.key.new"], ["payloads/"]],
  ];
  for (const names of ours) {
    test(`that has ${names.join(" ")} beforehand is ours`, async () => {
      using folder = filled(names, 0o755);
      await using _ = await open(folder.path);
      expect(modeOf(folder.path)).toBe("700");
    });
  }

  test.skipIf(!isRoot)("of another user is refused", async () => {
    using folder = scratch();
    chownSync(folder.path, 12_345, 12_345);
    expect(await refusal(folder.path)).toContain("belongs to another user (12345)");
  });
});

describe("the format", () => {
  const cases: Readonly<Record<string, boolean>> = { "0": true, "1": true, "2": true, "": true };
  for (const [format, isRead] of Object.entries({ ...cases, "3": false, x: false, "-1": false })) {
    test(`${JSON.stringify(format)} is ${isRead ? "read" : "refused"}`, async () => {
      using folder = scratch();
      writeFileSync(join(folder.path, "format"), format);
      if (!isRead) {
        expect(await refusal(folder.path)).toStartWith("STATE_FORMAT");
        return;
      }
      await using _ = await open(folder.path);
      expect(readFileSync(join(folder.path, "format"), "utf8").trim()).toBe("1");
    });
  }

  test("that is refused leaves the directory free, and as it was", async () => {
    using folder = scratch();
    const format = join(folder.path, "format");
    writeFileSync(format, "3");
    await refusal(folder.path);
    expect(readFileSync(format, "utf8")).toBe("3");
    writeFileSync(format, "1");
    await using _ = await open(folder.path);
  });
});

describe("the seal key", () => {
  const made = (path: string, bytes = 32, mode = 0o600): string => {
    writeFileSync(path, randomBytes(bytes));
    chmodSync(path, mode);
    return path;
  };

  test("that others may read is refused, with what to do", async () => {
    using folder = scratch();
    made(join(folder.path, "seal.key"), 32, 0o640);
    const said = await refusal(folder.path);
    expect(said).toStartWith("STATE_KEY");
    expect(said).toContain("chmod 0600");
  });

  test("of another length is refused, with its length", async () => {
    using folder = scratch();
    made(join(folder.path, "seal.key"), 31);
    expect(await refusal(folder.path)).toContain("and has 31");
  });

  test.skipIf(!isRoot)("of another user is refused", async () => {
    using folder = scratch();
    chownSync(made(join(folder.path, "seal.key")), 12_345, 12_345);
    expect(await refusal(folder.path)).toContain("belongs to another user (12345)");
  });

  test("kept elsewhere is used, and none is made in the directory", async () => {
    using folder = scratch();
    const dir = join(folder.path, "state");
    const sealKeyFile = made(join(folder.path, "key"));
    {
      await using opened = await open(dir, { sealKeyFile });
      await opened.state.append([put(1)]);
    }
    expect(() => statSync(join(dir, "seal.key"))).toThrow("ENOENT");
    await using again = await open(dir, { sealKeyFile });
    expect(again.state.recovered.changes.length).toBe(1);
  });

  test("kept elsewhere may be readable for its group, as a service manager hands it out", async () => {
    using folder = scratch();
    const sealKeyFile = made(join(folder.path, "key"), 32, 0o440);
    await using _ = await open(join(folder.path, "state"), { sealKeyFile });
  });

  test("that was named and is not there is refused, and not made", async () => {
    using folder = scratch();
    const sealKeyFile = join(folder.path, "key");
    const dir = join(folder.path, "state");
    expect(await refusal(dir, { sealKeyFile })).toStartWith("STATE_KEY");
    expect(() => statSync(sealKeyFile)).toThrow("ENOENT");
    made(sealKeyFile);
    await using _ = await open(dir, { sealKeyFile });
  });

  test("gives the digests of passwords a key that is the same after a restart", async () => {
    using folder = scratch();
    const keys: string[] = [];
    for (let start = 0; start < 2; start++) {
      await using opened = await open(folder.path);
      keys.push(Buffer.from(opened.state.digestKey).toString("hex"));
    }
    expect(keys[0]).toBe(keys[1] as string);
    expect(keys[0]).not.toBe(readFileSync(join(folder.path, "seal.key")).toString("hex"));
  });
});

test("a realm whose name is no folder's name is a mistake of the program", () => {
  using folder = scratch();
  mkdirSync(join(folder.path, "state"));
  expect(open(join(folder.path, "state"), { realm: "../other" })).rejects.toThrow(TypeError);
});
