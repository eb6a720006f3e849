import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachePath, cachePaths, readCache, renderCache } from "./cache-file.ts";
import { gidOf, openTarget, writeCache } from "./cache-write.ts";
import type { Snapshot } from "./tree.ts";

const scratch = mkdtempSync(join(tmpdir(), "fd-cache-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const UID = process.getuid?.() ?? 0;
const isRoot = UID === 0;
const STRANGER = 65_534;
const SNAPSHOT: Snapshot = {
  etag: '"x"',
  whole: true,
  metaData: { "local-hostname": "web-01", placement: { zone: "z" } },
  userData: undefined,
};
const ABOUT = {
  fetchedAt: "2026-11-23T05:00:00.000Z",
  endpoint: "http://10.1.1.1",
  via: "dhcp",
} as const;
const TEXT = renderCache(SNAPSHOT, ABOUT);

test("a cache is read as it was written, and is its owner's alone", () => {
  const path = join(folder(), "metadata.json");
  writeCache(openTarget(path, { uid: UID, gid: undefined }), TEXT);
  expect(readCache(path, UID)).toEqual({
    format: 1,
    ...ABOUT,
    etag: '"x"',
    metaData: { "local-hostname": "web-01", placement: { zone: "z" } },
  });
  expect(statSync(path).mode & 0o7777).toBe(0o600);
  writeCache(openTarget(path, { uid: UID, gid: process.getgid?.() }), TEXT);
  expect(statSync(path).mode & 0o7777).toBe(0o640);
  expect(readdirSync(join(path, ".."))).toEqual(["metadata.json"]);
});

test("without a cache there is none, which is no error", () => {
  expect(readCache(join(folder(), "metadata.json"), UID)).toBeUndefined();
});

test("a cache is not written through a link, nor over what somebody else has put there", () => {
  const dir = folder();
  const victim = join(dir, "victim");
  writeFileSync(victim, "precious");
  symlinkSync(victim, join(dir, "link.json"));
  refuses(join(dir, "link.json"), "symbolic link");
  symlinkSync(join(dir, "nowhere"), join(dir, "dangling.json"));
  refuses(join(dir, "dangling.json"), "symbolic link");
  mkdirSync(join(dir, "folder.json"));
  refuses(join(dir, "folder.json"), "no regular file");
  refuses(join(dir, "no/such/folder.json"), "no folder");
  expect(readFileSync(victim, "utf8")).toBe("precious");
  expect(existsSync(join(dir, "nowhere"))).toBe(false);
});

test("a link that is put there between two writes is refused too", () => {
  const dir = folder();
  const path = join(dir, "metadata.json");
  const target = openTarget(path, { uid: UID, gid: undefined });
  symlinkSync("/etc/passwd", path);
  expect(() => writeCache(target, TEXT)).toThrow("symbolic link");
});

test("a folder in which others can rename files is refused, one like /tmp is not", () => {
  const dir = folder();
  chmodSync(dir, 0o777);
  refuses(join(dir, "metadata.json"), "others can rename");
  chmodSync(dir, 0o1777);
  writeCache(openTarget(join(dir, "metadata.json"), { uid: UID, gid: undefined }), TEXT);
});

test.skipIf(!isRoot)("a stranger's file or folder is refused", () => {
  const dir = folder();
  writeFileSync(join(dir, "metadata.json"), TEXT);
  chownSync(join(dir, "metadata.json"), STRANGER, STRANGER);
  refuses(join(dir, "metadata.json"), "user 65534 owns");
  expect(() => readCache(join(dir, "metadata.json"), UID)).toThrow("user 65534 owns it");
  const strange = folder();
  chownSync(strange, STRANGER, STRANGER);
  refuses(join(strange, "metadata.json"), "owns the folder");
});

test("a cache that others can write, that is a link, or that is not one is not believed", () => {
  const dir = folder();
  const path = join(dir, "metadata.json");
  writeFileSync(path, TEXT);
  chmodSync(path, 0o666);
  expect(() => readCache(path, UID)).toThrow("others can write it");
  chmodSync(path, 0o600);
  symlinkSync(path, join(dir, "link"));
  expect(() => readCache(join(dir, "link"), UID)).toThrow("symbolic link");
  expect(() => readCache(dir, UID)).toThrow("no regular file");
  const wrong = ["", "{", "[]", "null", '{"format":2}', TEXT.replace('"dhcp"', '"magic"')];
  for (const text of [...wrong, TEXT.replace('"web-01"', "7")]) {
    writeFileSync(path, text);
    expect(() => readCache(path, UID), text).toThrow();
  }
});

test("what a killed writer has left goes with the next write; a living one's stays", () => {
  const dir = folder();
  const path = join(dir, "metadata.json");
  const living = `.metadata.json.${process.ppid}.tmp`;
  // No process has a number beyond the kernel's largest, 2^22.
  for (const name of [".metadata.json.4194999.tmp", living, ".other.json.4194999.tmp"]) {
    writeFileSync(join(dir, name), '{"half');
  }
  writeCache(openTarget(path, { uid: UID, gid: undefined }), TEXT);
  expect(readdirSync(dir).sort()).toEqual(
    [living, ".other.json.4194999.tmp", "metadata.json"].sort(),
  );
});

test("the places of the cache are root's, or one's own", () => {
  const user = { uid: 1000, env: { XDG_RUNTIME_DIR: "/run/user/1000" } };
  expect(cachePath({ uid: 0, env: {} })).toBe("/run/metadata.json");
  expect(cachePath(user)).toBe("/run/user/1000/metadata.json");
  expect(cachePaths(user)).toEqual(["/run/user/1000/metadata.json", "/run/metadata.json"]);
  for (const XDG_RUNTIME_DIR of [undefined, "", "relative"]) {
    expect(() => cachePath({ uid: 1000, env: { XDG_RUNTIME_DIR } })).toThrow("--output");
  }
});

test("a group is known by name or number", () => {
  const file = join(folder(), "group");
  writeFileSync(file, "root:x:0:\nwww-data:x:33:\nbroken\n");
  expect(gidOf("www-data", file)).toBe(33);
  expect(gidOf("1234", file)).toBe(1234);
  for (const group of ["nobody-here", "-1", "99999999999", "broken", ""]) {
    expect(() => gidOf(group, file), group).toThrow("no group");
  }
});

function folder(): string {
  return mkdtempSync(join(scratch, "d-"));
}

function refuses(path: string, why: string): void {
  expect(() => writeCache(openTarget(path, { uid: UID, gid: undefined }), TEXT)).toThrow(why);
}
